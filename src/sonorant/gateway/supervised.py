"""A served model in a process of its own: kept alive, and asked again where it died before it answered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace

import msgspec

from sonorant.errors import (
    FailedModelError,
    LostError,
    NotReadyError,
    QuarantinedError,
    SonorantError,
)
from sonorant.gateway.link import Call, Event, Link, LinkLost
from sonorant.gateway.processes import Process, told
from sonorant.gateway.replayed import Replayed
from sonorant.settings import ReplicaSettings
from sonorant.tasks import (
    Delivery,
    Described,
    Encoded,
    Load,
    Segment,
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
from sonorant.wire.channel import Channel
from sonorant.wire.messages import Piece, PiecesEnd, Probe, Speak, ToGateway, Transcribe

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
BACK_OFF = (0.0, 0.25, 1.0, 5.0, 15.0)
"""seconds before the first, second … start in a row; the last holds for all further ones"""
REAPED_SECONDS = 5.0
"""until a process that was killed is gone"""
DEADLY = 2
"""deaths at which a request was running, after which it is not tried again"""
QUARANTINE_SECONDS = 600.0
QUARANTINED = 256
"""requests that are remembered"""


class SupervisedReplica:
    """A `tasks.Replica` whose process is started, watched and replaced by `run`."""

    def __init__(
        self,
        described: Described,
        spawn: Callable[[], Awaitable[Process]],
        settings: ReplicaSettings,
        text_characters: int,
    ) -> None:
        """`described`: what is known of the model before it has loaded."""
        self._described, self._spawn, self._settings = described, spawn, settings
        self._text_characters = text_characters
        self._state, self._reason = State.LOADING, ""
        self._link: Link | None = None
        self._process: Process | None = None
        self._ready = asyncio.Event()
        self._quarantine: dict[bytes, float] = {}
        self.restarts = 0
        self.load_seconds = 0.0
        self._proven = time.monotonic()
        """when it last did real work"""
        self._sick = ""
        """why its process must be replaced, although it lives"""

    @property
    def name(self) -> str:
        return self._described.name

    @property
    def task(self) -> Task:
        return self._described.task

    @property
    def state(self) -> State:
        return self._state

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def pid(self) -> int | None:
        """of its process, while there is one"""
        return self._process.pid if self._process else None

    def describe(self) -> Described:
        return self._described

    def load(self) -> Load:
        return self._link.load if self._link else Load(slots=1)

    def fail(self, error: SonorantError) -> None:
        """Give the model up: it cannot be loaded, and trying again would not help."""
        self._state, self._reason = State.FAILED, str(error)
        self._ready.set()  # who waits is told
        logger.error("model %s cannot be served: %s", self.name, error)

    async def run(self) -> None:
        """Keep a process alive until this is cancelled; then end it."""
        deaths = 0
        try:
            while True:
                await asyncio.sleep(BACK_OFF[min(deaths, len(BACK_OFF) - 1)])
                why, served = await self._life()
                if self._state is State.FAILED:
                    return
                deaths = 1 if served else deaths + 1
                self.restarts += 1
                self._state, self._reason = State.RESTARTING, why
                logger.error("model %s: %s; it is started again", self.name, why)
                if deaths >= self._settings.deaths:
                    await self._rest(why, deaths)
                    deaths = 0
        finally:
            if self._state is not State.FAILED:
                self._state = State.STOPPED
            self._ready.set()

    async def _rest(self, why: str, deaths: int) -> None:
        """Refuse requests for a while: a model that dies again and again only burns the machine."""
        seconds = self._settings.breaker_seconds
        self.fail(
            FailedModelError(
                f"{self.name} died {deaths} times in a row without serving a request",
                why=f"The last time {why}",
                remedy=f"Look at the log; it is tried again after {seconds:g} s",
            )
        )
        await asyncio.sleep(seconds)
        self._ready.clear()
        self._state, self._reason = State.RESTARTING, why

    async def _life(self) -> tuple[str, bool]:
        """One process from its start to its end → why it ended, and whether it had served a request."""
        try:
            process = await self._spawn()
        except SonorantError as error:
            return str(error), False
        link = Link(await Channel[ToGateway].over(process.link, ToGateway))
        listening = asyncio.create_task(link.listen())
        watching = asyncio.create_task(self._watch(link))
        self._process, why = process, ""
        try:
            await asyncio.wait({listening, watching}, return_when=asyncio.FIRST_COMPLETED)
            why = watching.result() if watching.done() else ""
        finally:
            self._link, self._process = None, None
            self._ready.clear()
            watching.cancel()
            listening.cancel()
            if why:
                process.kill()
            link.hang_up()  # told to end, or ended: its own status says more than a kill would
            await asyncio.wait({process.ended}, timeout=REAPED_SECONDS)
            process.kill()
            await asyncio.wait({process.ended}, timeout=REAPED_SECONDS)
            why = why or _told(process)
            link.lose(why)
        return why, link.served

    async def _watch(self, link: Link) -> str:
        """Until it is certain that the process will not work → why."""
        began = time.monotonic()
        while not link.settled.done():
            await asyncio.wait({link.settled}, timeout=WATCH_SECONDS)
            if time.monotonic() - began > self._settings.start_seconds:
                return f"it did not load within {self._settings.start_seconds:g} s"
        settled = await link.settled
        if settled.fault is not None:
            self.fail(settled.fault.error())
            return self._reason
        self._described, self.load_seconds = settled.described, settled.seconds
        self._link, self._state, self._reason, self._sick = link, State.READY, "", ""
        self._proven = time.monotonic()
        self._ready.set()
        logger.info("model %s is ready after %.1f s", self.name, time.monotonic() - began)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if link.served:
                self._proven = max(self._proven, link.heard)
            if self._sick:
                return self._sick
            silent = time.monotonic() - link.heard
            if silent > self._settings.hang_seconds:
                return f"it hung: nothing was heard of it for {silent:.0f} s"

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
            if self._state is State.READY:
                self._sick = f"it failed when it was tried: {error or f'no answer within {seconds:g} s'}"
                self._state, self._reason = State.RESTARTING, self._sick
            return False
        self._proven = time.monotonic()
        return True

    @property
    def idle_seconds(self) -> float:
        """since it last showed that it works"""
        return time.monotonic() - self._proven

    async def _asked(
        self, message: Speak | Transcribe | Probe, text: Replayed | None = None
    ) -> AsyncGenerator[Event, None]:
        """The answer, from as many processes as it takes, as long as nothing of it has been passed on."""
        if self._quarantine and text is not None:
            await text.begun()
        if time.monotonic() < self._quarantine.get(_identity(message, text), 0):
            raise _quarantined(self.name)
        until = time.monotonic() + self._settings.retry_seconds
        deaths = 0
        while True:
            link = await self._living(until)
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
                        why=str(lost),
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

    async def _living(self, until: float) -> Link:
        """The link to a process that is ready. Raises NotReadyError at `until`, FailedModelError."""
        while self._link is None:
            if self._state is State.FAILED:
                raise FailedModelError(f"{self.name} cannot be used", why=self._reason)
            if self._state is State.STOPPED:
                raise NotReadyError(f"{self.name} has been stopped", remedy="The server is shutting down")
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    await self._ready.wait()
                    await asyncio.sleep(0)
            if self._link is None and time.monotonic() >= until:
                raise NotReadyError(
                    f"{self.name} is being started again",
                    why=self._reason,
                    remedy="Try again in a few seconds",
                )
        return self._link

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


def _told(process: Process) -> str:
    return told(process.ended.result()) if process.ended.done() else "its process cannot be ended"


def _quarantined(name: str) -> QuarantinedError:
    return QuarantinedError(
        f"{name} ended twice while it worked on this request",
        why="Trying it again would end it for everybody else, too",
        remedy=f"Change the request, or ask again after {QUARANTINE_SECONDS / 60:.0f} minutes",
    )
