"""Models that nobody has asked anything for a while are tried before they are called healthy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sonorant.tasks import Replica, State

IDLE_SECONDS = 30.0
"""a model that has worked within so long has shown that it can"""
PROBE_SECONDS = 20.0
"""a model that cannot do a small piece of work within so long is ill"""
PATIENCE_SECONDS = 0.8
"""that a question for the health waits for probes: Kubernetes gives a probe one second"""


class Probes:
    """At most one probe a model at a time, and one in `IDLE_SECONDS`, however often somebody asks."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._running: dict[str, asyncio.Task[bool]] = {}

    async def refresh(self) -> None:
        """Try what is idle. Where that takes long the caller goes on, and a later one learns how it ended."""
        for replica in self._replicas:
            running = self._running.get(replica.name)
            idle = replica.state is State.READY and replica.idle_seconds > IDLE_SECONDS
            if idle and (running is None or running.done()):
                self._running[replica.name] = asyncio.create_task(replica.probe(PROBE_SECONDS))
        if waiting := [task for task in self._running.values() if not task.done()]:
            await asyncio.wait(waiting, timeout=PATIENCE_SECONDS)
