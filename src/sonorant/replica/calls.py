"""The requests in a replica's process: messages become calls, and what those give becomes messages."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.errors import EngineError, SonorantError
from sonorant.observe.context import adopt
from sonorant.replica.claims import announce_begin
from sonorant.replica.memory import give_back, poisoned
from sonorant.tasks import Segment, TranscriptEvent, Upload
from sonorant.wire.channel import Channel, ChannelBroken
from sonorant.wire.messages import (
    WINDOW,
    Asked,
    Begun,
    Cancel,
    Done,
    Ended,
    Fault,
    Heard,
    Piece,
    PiecesEnd,
    Probe,
    Refused,
    Speak,
    Spoken,
    Taken,
    ToGateway,
    ToReplica,
    Transcribe,
    Tune,
    Vocode,
)

if TYPE_CHECKING:
    from sonorant.replica.local import LocalReplica

logger = logging.getLogger(__name__)

PROBE_SECONDS = 60.0
"""at the most; the gateway gives up sooner"""
BROKEN = 70
"""exit status of a process whose GPU context is broken (EX_SOFTWARE of sysexits.h)"""


def _end() -> None:
    os._exit(BROKEN)


class Calls:
    """The requests that are open on a channel, each a task."""

    def __init__(
        self,
        channel: Channel[ToReplica],
        replica: LocalReplica,
        end: Callable[[], object] = _end,
    ) -> None:
        """`end` ends this process at once, for which the gateway then starts another."""
        self._channel, self._replica, self._end = channel, replica, end
        self._open: dict[int, _Call] = {}

    def obey(self, message: ToReplica) -> None:
        """Do what the gateway says; what it says of a request that has ended is too late and dropped."""
        if isinstance(message, Tune):
            self._replica.tune(message.window_ms, message.max_frames)
            asyncio.get_running_loop().run_in_executor(None, give_back)
            return
        call = self._open.get(message.call)
        match message:
            case Speak() | Transcribe() | Vocode() | Probe():
                self._open[message.call] = call = _Call(message.call, self._channel)
                call.task = asyncio.create_task(self._answer(call, message))
                # not in the task: one that is cancelled before it begins runs nothing of itself
                call.task.add_done_callback(partial(self._forget, call.number))
            case Cancel() if call:
                call.task.cancel()
            case Taken() if call:
                call.give(message.count)
            case Piece() if call:
                call.pieces.put_nowait(message.text)
            case PiecesEnd() if call:
                call.pieces.put_nowait(None)

    def cancel(self) -> None:
        """All of them."""
        for call in self._open.values():
            call.task.cancel()

    def _work(self, call: _Call, message: Asked) -> Coroutine[Any, Any, None]:
        match message:
            case Speak():
                return self._speak(call, message)
            case Transcribe():
                return self._transcribe(call, message)
            case Vocode():
                return self._vocode(call, message)
            case Probe():
                return self._probe()

    def _tell_when_it_begins(self, call: _Call) -> None:
        loop, begun = asyncio.get_running_loop(), Begun(call.number)

        def announce() -> None:
            loop.call_soon_threadsafe(self._channel.post, begun)

        announce_begin(announce)

    async def _probe(self) -> None:
        await self._replica.probe(PROBE_SECONDS)

    async def _answer(self, call: _Call, message: Asked) -> None:
        try:
            await self._work(call, message)
            answer: ToGateway = Done(call.number)
        except SonorantError as error:
            if self._ends_by(error):
                return
            answer = Refused(call.number, Fault.of(error))
        except ChannelBroken:
            return
        except Exception as error:
            if self._ends_by(error):
                return
            logger.exception("a request failed unexpectedly")
            unexpected = EngineError("The model failed unexpectedly", why=f"{type(error).__name__}: {error}")
            answer = Refused(call.number, Fault.of(unexpected))
        self._channel.post(answer)

    def _forget(self, number: int, _: asyncio.Task[None]) -> None:
        self._open.pop(number, None)

    def _ends_by(self, error: Exception) -> bool:
        """End this process where nothing can be computed in it any more; what is open is left unanswered,
        so that the next process is asked the same."""
        if not poisoned(error):
            return False
        logger.critical("the GPU computes nothing more in this process, which ends: %s", error)
        self._end()
        return True

    async def _speak(self, call: _Call, message: Speak) -> None:
        adopt(message.request.terms)
        text = call.text() if message.utterances is None else message.utterances
        self._tell_when_it_begins(call)
        async with aclosing(self._replica.speak(message.request, text, message.delivery)) as events:
            async for event in events:
                await call.send(Spoken(call.number, event))

    async def _transcribe(self, call: _Call, message: Transcribe) -> None:
        adopt(message.request.terms)
        self._tell_when_it_begins(call)
        async with aclosing(self._replica.transcribe(message.request, _upload(message))) as events:
            async for event in events:
                await call.send(_told(call.number, event))

    async def _vocode(self, call: _Call, message: Vocode) -> None:
        adopt(message.request.terms)
        self._tell_when_it_begins(call)
        spoken = self._replica.vocode(message.request, _upload(message), message.delivery)
        async with aclosing(spoken) as events:
            async for event in events:
                await call.send(Spoken(call.number, event))


class _Call:
    """One request: its task, its text as it comes, and how many events may still be sent."""

    def __init__(self, number: int, channel: Channel[ToReplica]) -> None:
        self.number, self._channel = number, channel
        self.pieces: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by the gateway's limit on texts
        self.task: asyncio.Task[None]
        self._window = asyncio.Semaphore(WINDOW)

    async def text(self) -> AsyncIterator[str]:
        while (piece := await self.pieces.get()) is not None:
            yield piece

    def give(self, count: int) -> None:
        for _ in range(count):
            self._window.release()

    async def send(self, message: ToGateway) -> None:
        """Wait until the gateway has taken enough of what was sent before."""
        await self._window.acquire()
        await self._channel.send(message)


def _upload(message: Transcribe | Vocode) -> Upload:
    return Upload(Path(message.path) if message.data is None else message.data, message.name)


def _told(call: int, event: TranscriptEvent) -> ToGateway:
    return Heard(call, event) if isinstance(event, Segment) else Ended(call, event)
