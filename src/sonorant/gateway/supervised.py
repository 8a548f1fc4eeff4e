"""A served model in a process of its own: kept alive, and asked again where it died before it answered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

import msgspec

from sonorant.errors import (
    LostError,
    QuarantinedError,
    SonorantError,
)
from sonorant.gateway.keeper import Keeper
from sonorant.gateway.link import Call, Event, Link, LinkLost
from sonorant.gateway.replayed import Replayed
from sonorant.settings import ReplicaSettings
from sonorant.tasks import (
    Delivery,
    Described,
    Encoded,
    Load,
    Segment,
    Snapshot,
    SpeechRequest,
    State,
    Task,
    Terms,
    Text,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    Upload,
)
from sonorant.wire.messages import Piece, PiecesEnd, Probe, Speak, Transcribe, Tune

logger = logging.getLogger(__name__)

DEADLY = 2
"""deaths at which a request was running, after which it is not tried again"""
QUARANTINE_SECONDS = 600.0
QUARANTINED = 256
"""requests that are remembered"""


class SupervisedReplica:
    """A `tasks.Replica` over the process that its `keeper` keeps alive."""

    def __init__(self, keeper: Keeper, settings: ReplicaSettings, text_characters: int) -> None:
        self.keeper, self._settings, self._text_characters = keeper, settings, text_characters
        self._quarantine: dict[bytes, float] = {}
        self._proven = time.monotonic()
        self._open = 0
        self.at_rest = asyncio.Event()
        """nobody waits for an answer, or the end of one"""
        self.at_rest.set()

    def take(self, settings: ReplicaSettings, text_characters: int) -> None:
        """What counts from the next request on."""
        self._settings, self._text_characters = settings, text_characters
        self.keeper.take(settings)

    @property
    def name(self) -> str:
        return self.keeper.name

    @property
    def task(self) -> Task:
        return self.keeper.described.task

    @property
    def state(self) -> State:
        if self.keeper.state is State.READY and not self.keeper.alive:
            return State.RESTARTING
        return self.keeper.state

    @property
    def reason(self) -> str:
        return self.keeper.reason

    @property
    def notice(self) -> str:
        return self.keeper.refused

    def describe(self) -> Described:
        return self.keeper.described

    def load(self) -> Load:
        return self.keeper.link.load if self.keeper.link else Load(slots=1)

    def figures(self) -> tuple[Snapshot, ...]:
        return self.keeper.figures()

    async def wake(self) -> None:
        with self._opened():
            await self.keeper.living(time.monotonic() + self._settings.retry_seconds)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self._open += 1
        self.at_rest.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self.at_rest.set()

    def tune(self, window_ms: float, max_frames: int) -> None:
        self.keeper.tune(Tune(window_ms, max_frames))

    async def unload(self) -> bool:
        return bool(await self.keeper.unload())

    @property
    def idle_seconds(self) -> float:
        proven = self.keeper.link.proven if self.keeper.link else self._proven
        return time.monotonic() - proven

    async def speak(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        whole = text if isinstance(text, tuple) else None
        source = None if isinstance(text, tuple) else Replayed(text, self._text_characters)
        try:
            async with aclosing(self._asked(Speak(0, request, whole, delivery), source)) as events:
                async for event in events:
                    assert isinstance(event, Encoded)
                    yield event
        finally:
            if source is not None:
                await source.close()

    async def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]:
        here = isinstance(upload.source, bytes)
        data, path = (upload.source, "") if isinstance(upload.source, bytes) else (None, str(upload.source))
        message = Transcribe(0, request, upload.name, data if here else None, path)
        said = 0.0  # seconds: what a process that died had told already is not told again
        for lives in range(DEADLY, 0, -1):
            try:
                async with aclosing(self._asked(message)) as events:
                    async for event in events:
                        assert isinstance(event, Segment | TranscriptEnd)
                        if isinstance(event, Segment):
                            if event.end <= said:
                                continue
                            said = event.end
                        yield event
                return
            except LostError:
                if lives == 1:
                    raise
                logger.warning("request %s is heard again by the next process", request.terms.id)

    async def probe(self, seconds: float) -> bool:
        """Whether the model does real work within so long. A process that cannot is replaced."""
        try:
            async with asyncio.timeout(seconds), aclosing(self._asked(Probe(0))) as events:
                async for _ in events:
                    pass
        except (SonorantError, TimeoutError) as error:
            why = str(error) or f"There was no answer within {seconds:g} s"
            failed = LostError(f"{self.name} failed when it was tried", why=why)
            self.keeper.condemn(failed)
            logger.warning("%s", failed)
            return False
        return True

    async def _asked(
        self, message: Speak | Transcribe | Probe, text: Replayed | None = None
    ) -> AsyncGenerator[Event, None]:
        """The answer, from as many processes as it takes, as long as nothing of it has been passed on."""
        with self._opened():
            async with aclosing(self._tried(message, text)) as events:
                async for event in events:
                    yield event

    async def _tried(
        self, message: Speak | Transcribe | Probe, text: Replayed | None
    ) -> AsyncGenerator[Event, None]:
        if self._quarantine and text is not None:
            await text.begun()
        if time.monotonic() < self._quarantine.get(_identity(message, text), 0):
            raise _quarantined(self.name)
        until = time.monotonic() + self._settings.retry_seconds
        deaths = 0
        while True:
            link = await self.keeper.living(until)
            call = link.open(message)
            feeding = asyncio.create_task(_feed(link, call, text)) if text is not None else None
            told_something = False
            try:
                async for event in call.events():
                    told_something = told_something or not isinstance(event, Encoded) or bool(event.data)
                    yield event
                return
            except LinkLost as lost:
                if told_something:
                    raise LostError(
                        f"{self.name} ended while it answered",
                        why=lost.death.what,
                        remedy="What came so far is not the whole; ask again",
                    ) from lost
                deaths += call.begun
                if deaths >= DEADLY:
                    self._put_away(_identity(message, text))
                    raise _quarantined(self.name) from lost
                logger.warning("request %s waits for the next process of %s", _terms(message).id, self.name)
            finally:
                if feeding is not None:
                    feeding.cancel()
                call.close()

    def _put_away(self, identity: bytes) -> None:
        while len(self._quarantine) >= QUARANTINED:
            del self._quarantine[next(iter(self._quarantine))]
        self._quarantine[identity] = time.monotonic() + QUARANTINE_SECONDS


async def _feed(link: Link, call: Call, text: Replayed) -> None:
    try:
        async for piece in text.pieces():
            link.post(Piece(call.number, piece))
    except Exception as error:
        call.end(error)
        return
    link.post(PiecesEnd(call.number))


def _terms(message: Speak | Transcribe | Probe) -> Terms:
    return Terms() if isinstance(message, Probe) else message.request.terms


def _identity(message: Speak | Transcribe | Probe, text: Replayed | None) -> bytes:
    """The same for the same request, whoever sends it."""
    if not isinstance(message, Probe):
        request = replace(message.request, terms=Terms())
        message = msgspec.structs.replace(message, request=request)
    said = text.so_far if text is not None else ""
    return hashlib.sha256(msgspec.msgpack.encode((message, said))).digest()


def _quarantined(name: str) -> QuarantinedError:
    return QuarantinedError(
        f"{name} ended twice while it worked on this request",
        why="Trying it again would end it for everybody else, too",
        remedy=f"Change the request, or ask again after {QUARANTINE_SECONDS / 60:.0f} minutes",
    )
