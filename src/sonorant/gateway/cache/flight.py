"""One piece of work, and all who listen to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from sonorant.errors import EngineError
from sonorant.tasks import Encoded

AHEAD_BYTES = 2**18
"""that the work may be ahead of the fastest listener; then it rests, as for any client that reads slowly"""
STOPPING_SECONDS = 10.0
"""in which cancelled work must have cleaned up"""


@dataclass(slots=True, eq=False)
class _Listener:
    position: int = 0
    """of the next event"""
    taken: int = 0
    """bytes"""


class Flight:
    """Speaks once, for as long as anybody listens, and keeps what was spoken for those who join later.

    Nobody waits for a slow listener. One that is more than `kept_bytes` behind the others is given up.
    """

    def __init__(
        self,
        events: AsyncGenerator[Encoded, None],
        kept_bytes: int,
        landed: Callable[[list[Encoded] | None], Awaitable[None]],
    ) -> None:
        """`landed` is given all events when they are complete, None where they are not or are too large."""
        self._events: list[Encoded] = []
        self._bytes = self._first = self._dropped = 0
        self._kept_bytes = kept_bytes
        self.kept = True
        """whether the answer may be kept when it is complete"""
        self._listeners: set[_Listener] = set()
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._abandoned = False
        self.complete = False
        self._task = asyncio.create_task(self._work(events, landed))

    @property
    def whole(self) -> bool:
        """Whether whoever joins now hears it from the beginning to the end."""
        return self._first == 0 and self._error is None and not self._abandoned

    async def listen(self) -> AsyncGenerator[Encoded, None]:
        """What is there at once, and then what comes. When the last listener leaves the work stops.

        Raises what the work raises.
        """
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                if listener.position < self._first:
                    raise EngineError(
                        "The answer was not taken in time", why="Others heard it meanwhile, and it is long"
                    )
                if listener.position < self._first + len(self._events):
                    event = self._events[listener.position - self._first]
                    listener.position += 1
                    listener.taken += len(event.data)
                    self._wake()
                    yield event
                elif self._error is not None:
                    raise self._error
                elif self.complete:
                    return
                else:
                    await self._changed.wait()
        finally:
            self._listeners.discard(listener)
            if self._listeners:
                self._wake()
            elif not self.complete:
                self._abandoned = True
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=STOPPING_SECONDS)

    async def _work(
        self,
        events: AsyncGenerator[Encoded, None],
        landed: Callable[[list[Encoded] | None], Awaitable[None]],
    ) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._events.append(event)
                    self._bytes += len(event.data)
                    self._forget()
                    self._wake()
                    while self._ahead() > AHEAD_BYTES:
                        await self._changed.wait()
            self.complete = True
        except BaseException as error:
            # each listener is told; a task that fails unheard would be logged as if nobody were
            self._error = error if isinstance(error, Exception) else EngineError("The work was stopped")
            if not isinstance(error, Exception):
                raise
        finally:
            self._wake()
            await landed(self._events if self.complete and self.whole else None)

    def _ahead(self) -> int:
        return self._bytes - max((listener.taken for listener in self._listeners), default=self._bytes)

    def _forget(self) -> None:
        """Past the size that is kept, drop the oldest that the fastest have taken."""
        fastest = max((listener.position for listener in self._listeners), default=self._first)
        while self._bytes - self._dropped > self._kept_bytes and self._first < fastest:
            self._dropped += len(self._events.pop(0).data)
            self._first += 1

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
