"""A served model in a process of its own: kept alive, and asked again where it died before it answered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace

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
    VocodingRequest,
)
from sonorant.wire.messages import Asked, Piece, PiecesEnd, Probe, Speak, Transcribe, Tune, Vocode

logger = logging.getLogger(__name__)

DEADLY = 2
"""deaths at which a request was running, after which it is not tried again"""
QUARANTINE_SECONDS = 600.0
SUSPECTS = 256
"""requests that are remembered"""


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A request that was running when the process died."""

    deaths: int
    until: float

    @property
    def guilty(self) -> bool:
        return self.deaths >= DEADLY and time.monotonic() < self.until


_CLEAR = _Suspect(0, 0.0)


class SupervisedReplica:
    """A `tasks.Replica` over the process that its `keeper` keeps alive."""

    def __init__(self, keeper: Keeper, settings: ReplicaSettings, text_characters: int) -> None:
        self.keeper, self._settings, self._text_characters = keeper, settings, text_characters
        self._suspects: dict[bytes, _Suspect] = {}
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
        message = Transcribe(0, request, upload.name, *_bytes_or_path(upload))
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

    async def vocode(
        self, request: VocodingRequest, upload: Upload, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        message = Vocode(0, request, delivery, upload.name, *_bytes_or_path(upload))
        async with aclosing(self._asked(message)) as events:
            async for event in events:
                assert isinstance(event, Encoded)
                yield event

    async def probe(self, seconds: float) -> bool:
        """Whether the model does real work within so long. A process that cannot is replaced."""
        asked = self.keeper.link
        try:
            async with asyncio.timeout(seconds), aclosing(self._asked(Probe(0))) as events:
                async for _ in events:
                    pass
        except (SonorantError, TimeoutError) as error:
            why = str(error) or f"There was no answer within {seconds:g} s"
            failed = LostError(f"{self.name} failed when it was tried", why=why)
            if self.keeper.link is asked:  # else another has taken its place meanwhile
                self.keeper.condemn(failed)
            logger.warning("%s", failed)
            return False
        return True

    async def _asked(self, message: Asked, text: Replayed | None = None) -> AsyncGenerator[Event, None]:
        """The answer, from as many processes as it takes, as long as nothing of it has been passed on."""
        with self._opened():
            async with aclosing(self._tried(message, text)) as events:
                async for event in events:
                    yield event

    async def _tried(self, message: Asked, text: Replayed | None) -> AsyncGenerator[Event, None]:
        if self._suspects and text is not None:
            await text.begun()
        if self._suspects and self._suspects.get(await _identity(message, text), _CLEAR).guilty:
            raise _quarantined(self.name)
        until = time.monotonic() + self._settings.retry_seconds
        while True:
            link = await self.keeper.living(until)
            call = link.open(message)
            feeding = asyncio.create_task(_feed(link, call, text)) if text is not None else None
            told_something = False
            try:
                async for event in call.events():
                    told_something = told_something or not isinstance(event, Encoded) or _heard(event)
                    yield event
                if self._suspects:
                    self._suspects.pop(await _identity(message, text), None)
                return
            except LinkLost as lost:
                if call.begun and await self._suspected(message, text):
                    raise _quarantined(self.name) from lost
                if told_something:
                    raise LostError(
                        f"{self.name} ended while it answered",
                        why=lost.death.what,
                        remedy="What came so far is not the whole; ask again",
                    ) from lost
                logger.warning("request %s waits for the next process of %s", _terms(message).id, self.name)
            finally:
                if feeding is not None:
                    feeding.cancel()
                call.close()

    async def _suspected(self, message: Asked, text: Replayed | None) -> bool:
        """Note that a request was running at a death; whether that was once too often.

        It is forgotten after a while, and when the request is answered: then it was the others'.
        """
        if isinstance(message, Probe):
            return False
        identity, now = await _identity(message, text), time.monotonic()
        deaths = self._suspects.pop(identity, _CLEAR).deaths + 1
        self._suspects = {k: s for k, s in self._suspects.items() if s.until > now}
        while len(self._suspects) >= SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        self._suspects[identity] = suspect = _Suspect(deaths, now + QUARANTINE_SECONDS)
        return suspect.guilty


async def _feed(link: Link, call: Call, text: Replayed) -> None:
    try:
        async for piece in text.pieces():
            link.post(Piece(call.number, piece))
    except Exception as error:
        call.end(error)
        return
    link.post(PiecesEnd(call.number))


def _bytes_or_path(upload: Upload) -> tuple[bytes | None, str]:
    return (upload.source, "") if isinstance(upload.source, bytes) else (None, str(upload.source))


def _terms(message: Asked) -> Terms:
    return Terms() if isinstance(message, Probe) else message.request.terms


async def _identity(message: Asked, text: Replayed | None) -> bytes:
    """The same for the same request, whoever sends it."""
    if not isinstance(message, Probe):
        request = replace(message.request, terms=Terms())
        message = msgspec.structs.replace(message, request=request)
    said = text.so_far if text is not None else ""
    content = ""
    if isinstance(message, Transcribe | Vocode):
        if message.data is None:
            content = await asyncio.to_thread(_digest, message.path)
        message = msgspec.structs.replace(message, name="", path="")
    return hashlib.sha256(msgspec.msgpack.encode((message, said, content))).digest()


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _heard(event: Encoded) -> bool:
    """Whether a client may have been told something by it."""
    return bool(event.data or event.words)


def _quarantined(name: str) -> QuarantinedError:
    return QuarantinedError(
        f"{name} ended twice while it worked on this request",
        why="Trying it again would end it for everybody else, too",
        remedy=f"Change the request, or ask again after {QUARANTINE_SECONDS / 60:.0f} minutes",
    )
