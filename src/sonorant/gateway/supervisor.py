"""Starts the replicas' processes with the server and ends them with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from sonorant.errors import SonorantError
from sonorant.gateway.processes import Forkery
from sonorant.gateway.supervised import SupervisedReplica

Prepare = Callable[[SupervisedReplica], Awaitable[None]]
"""brings what the model needs before its first process starts; raises SonorantError"""


@asynccontextmanager
async def supervised(
    replicas: Sequence[SupervisedReplica], forkery: Forkery, prepare: Prepare
) -> AsyncIterator[None]:
    """Start each replica as soon as it is prepared, while the server already answers; end all afterwards."""
    running: list[asyncio.Task[None]] = []

    async def start() -> None:
        for replica in replicas:
            try:
                await prepare(replica)
            except SonorantError as error:
                replica.keeper.fail(error)
            else:
                running.append(asyncio.create_task(replica.keeper.run()))

    starting = asyncio.create_task(start())
    try:
        yield
    finally:
        starting.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(starting, *running, return_exceptions=True)
        await forkery.close()
