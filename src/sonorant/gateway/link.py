"""The gateway's end of the connection to a replica's process, and the requests that are open on it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count

import msgspec

from sonorant.errors import RequestError, SonorantError
from sonorant.tasks import Encoded, Load, Segment, Snapshot, TranscriptEnd
from sonorant.wire.channel import Channel, ChannelBroken
from sonorant.wire.messages import (
    Asked,
    Beat,
    Begun,
    Cancel,
    Done,
    Ended,
    Heard,
    Refused,
    Settled,
    Spoken,
    Taken,
    ToGateway,
    ToReplica,
)

Event = Encoded | Segment | TranscriptEnd


class LinkLost(Exception):
    """The replica is gone while a request was open."""

    def __init__(self, death: SonorantError) -> None:
        self.death = death
        super().__init__(str(death))


class Call:
    """A request that is open on a link: its events, as they come, at most a window of them at a time."""

    def __init__(self, number: int, link: Link) -> None:
        self.number, self._link = number, link
        self.begun = False
        """it has had its first turn on the device"""
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._end: BaseException | None = None

    async def events(self) -> AsyncIterator[Event]:
        """Until the request has ended. Raises its error, or LinkLost."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._link.post(Taken(self.number, 1))
                yield event
            if self._end is not None:
                if isinstance(self._end, StopAsyncIteration):
                    return
                raise self._end
            self._news.clear()
            await self._news.wait()  # bounded: the link ends every call when it is lost

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    def end(self, reason: BaseException) -> None:
        self._end = self._end or reason
        self._news.set()

    def close(self) -> None:
        """Nobody wants the rest."""
        self._link.forget(self)


class Link:
    """A connection to a replica that lives: its calls, and what it last said of itself."""

    def __init__(self, channel: Channel[ToGateway]) -> None:
        self._channel = channel
        self._calls: dict[int, Call] = {}
        self._numbers = count(1)
        self.settled: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self.load = Load(slots=1)
        self.figures: tuple[Snapshot, ...] = ()
        self.heard = time.monotonic()
        """when it last said anything"""
        self.served = False
        """it has finished a request"""
        self.proven = self.heard
        """when it last brought something of an answer"""

    @property
    def calls(self) -> int:
        """requests that are open"""
        return len(self._calls)

    def open(self, message: Asked) -> Call:
        """Send a request; its `call` is filled in here."""
        call = Call(next(self._numbers), self)
        self._calls[call.number] = call
        self.post(msgspec.structs.replace(message, call=call.number))
        return call

    def post(self, message: ToReplica) -> None:
        self._channel.post(message)

    def forget(self, call: Call) -> None:
        """Drop a call, and tell the replica to stop where it still works on it."""
        if self._calls.pop(call.number, None) is not None:
            self.post(Cancel(call.number))

    async def listen(self) -> None:
        """Pass on what the replica says, until the connection ends."""
        with suppress(ChannelBroken):
            while True:
                message = await self._channel.receive()
                self.heard = time.monotonic()
                self._obey(message)

    def _obey(self, message: ToGateway) -> None:
        match message:
            case Settled():
                if not self.settled.done():
                    self.settled.set_result(message)
            case Beat(load, figures):
                self.load, self.figures = load, figures
            case Begun(number):
                if call := self._calls.get(number):
                    call.begun = True
            case Spoken(number, event) | Heard(number, event) | Ended(number, event):
                self.proven = self.heard
                if call := self._calls.get(number):
                    call.add(event)
            case Done(number):
                self.served, self.proven = True, self.heard
                if call := self._calls.pop(number, None):
                    call.end(StopAsyncIteration())
            case Refused(number, fault):
                error = fault.error()
                self.served = self.served or isinstance(error, RequestError)  # to refuse is to work
                if call := self._calls.pop(number, None):
                    call.end(error)

    def hang_up(self) -> None:
        """The replica ends when it notices."""
        self._channel.close()

    def lose(self, death: SonorantError) -> None:
        """The replica is gone: every call that is open ends with LinkLost."""
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.end(LinkLost(death))
        if not self.settled.done():
            self.settled.cancel()
