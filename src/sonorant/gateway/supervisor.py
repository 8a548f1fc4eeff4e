"""Starts the replicas' processes with the server, tends them, and ends them with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sonorant.errors import SonorantError
from sonorant.gateway.memory import Memory
from sonorant.gateway.processes import Forkery
from sonorant.gateway.supervised import SupervisedReplica
from sonorant.gateway.watch import watch

Prepare = Callable[[SupervisedReplica], Awaitable[None]]
"""brings what the model needs before its first process starts; raises SonorantError"""
Files = Callable[[SupervisedReplica], Iterable[Path]]
"""those whose change renews the model"""


@asynccontextmanager
async def supervised(
    replicas: Sequence[SupervisedReplica], forkery: Forkery, memory: Memory, prepare: Prepare, files: Files
) -> AsyncIterator[None]:
    """Start each replica as soon as it is prepared, while the server already answers; end all afterwards."""
    running: list[asyncio.Task[None]] = []

    def run(work: Coroutine[Any, Any, None]) -> None:
        running.append(asyncio.create_task(work))

    async def start() -> None:
        for replica in replicas:
            try:
                await prepare(replica)
            except SonorantError as error:
                replica.keeper.fail(error)
            else:
                run(replica.keeper.run())
                run(watch(lambda replica=replica: files(replica), replica.keeper.renew))  # type: ignore[misc]
        run(memory.tend())

    starting = asyncio.create_task(start())
    try:
        yield
    finally:
        starting.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(starting, *running, return_exceptions=True)
        await forkery.close()
