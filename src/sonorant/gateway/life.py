"""One process of a replica, from its start to its end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sonorant.errors import LostError, SonorantError
from sonorant.gateway.link import Link
from sonorant.gateway.processes import Process, death
from sonorant.settings import ReplicaSettings
from sonorant.tasks import Cost
from sonorant.wire.channel import Channel
from sonorant.wire.messages import Settled, ToGateway

Spawn = Callable[[Cost | None], Awaitable[Process]]
"""starts a process; what its predecessor has measured spares it some of the warm-up"""

WATCH_SECONDS = 0.5
REAPED_SECONDS = 5.0
"""until a process that was told to end, or killed, is gone"""
LOADING_SILENCE = 10
"""times `hang_seconds` that a process may be silent while it loads: what loads may hold Python's lock"""


class Life:
    """A process and the link to it. `death` says why it ended, once it has."""

    def __init__(self, name: str, process: Process, link: Link, settings: ReplicaSettings) -> None:
        self.process, self.link = process, link
        self.settled: Settled | None = None
        self.death: SonorantError | None = None
        self._name, self.settings = name, settings
        self._began = time.monotonic()
        self._listening = asyncio.create_task(link.listen())
        self._watching = asyncio.create_task(self._watch())
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, name: str, spawn: Spawn, settings: ReplicaSettings, known: Cost | None) -> Life:
        """Start a process; returns when it has settled, or died trying. Raises SonorantError."""
        process = await spawn(known)
        try:
            link = Link(await Channel[ToGateway].over(process.link, ToGateway))
        except BaseException:
            process.kill()
            raise
        life = cls(name, process, link, settings)
        try:
            first: set[asyncio.Future[Any]] = {life.link.settled, life._watching}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await life.end()
            raise
        if life.link.settled.done() and not life.link.settled.cancelled():
            life.settled = life.link.settled.result()
        return life

    async def over(self, seconds: float) -> bool:
        """Whether it has ended by itself, or must be ended, within so long; then it has ended."""
        await asyncio.wait({self._watching}, timeout=seconds)
        return self._watching.done()

    def condemn(self, why: SonorantError) -> None:
        """It lives and does not work."""
        self.death = self.death or why

    async def end(self) -> None:
        """Let it go: it may end by itself for a moment, and is killed after that."""
        self._ending = self._ending or asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _watch(self) -> None:
        """Until the process has ended, or it is certain that it will not work any more."""
        while not self._listening.done() and self.death is None:
            before = time.monotonic()
            await asyncio.wait({self._listening}, timeout=WATCH_SECONDS)
            stood = time.monotonic() - before - WATCH_SECONDS
            if stood > WATCH_SECONDS:  # this process did not run either: stopped, frozen, swapped out
                self.link.heard += stood
            self.death = self.death or self._fault()
        if self.death is not None and not self._listening.done():
            self.process.kill()
        await self.end()

    def _fault(self) -> SonorantError | None:
        loading = not self.link.settled.done()
        if loading and time.monotonic() - self._began > self.settings.start_seconds:
            return LostError(
                f"The process of {self._name} has not loaded it within {self.settings.start_seconds:g} s",
                remedy="Raise replicas.start_seconds, or look at the log",
            )
        silent = time.monotonic() - self.link.heard
        if silent > self.settings.hang_seconds * (LOADING_SILENCE if loading else 1):
            return LostError(f"The process of {self._name} hung: nothing was heard of it for {silent:.0f} s")
        return None

    async def _end(self) -> None:
        self.link.hang_up()  # its own status says more than a kill would
        self._listening.cancel()
        await asyncio.wait({self.process.ended}, timeout=REAPED_SECONDS)
        self.process.kill()
        await asyncio.wait({self.process.ended}, timeout=REAPED_SECONDS)
        status = self.process.ended.result() if self.process.ended.done() else -signal.SIGKILL
        self.death = self.death or death(status)
        self.link.lose(self.death)
