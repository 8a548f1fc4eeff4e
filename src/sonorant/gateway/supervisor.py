"""Starts the replicas' processes, with the server or later, tends them, and ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sonorant.errors import ModelError, SonorantError
from sonorant.gateway.keeper import RETIRING_SECONDS
from sonorant.gateway.memory import Memory
from sonorant.gateway.processes import Forkery
from sonorant.gateway.supervised import SupervisedReplica
from sonorant.gateway.watch import watch

Prepare = Callable[[SupervisedReplica], Awaitable[None]]
"""brings what the model needs before its first process starts; raises SonorantError"""
Files = Callable[[SupervisedReplica], Iterable[Path]]
"""those whose change renews the model"""

LEAVING_SECONDS = 2.0
"""for requests that have just been sent to a model that is no longer served, until they ask it"""
LOOK_SECONDS = 0.2
"""between two looks whether a model has been renewed"""

logger = logging.getLogger(__name__)


class Supervisor:
    """Use it while `running` is entered."""

    def __init__(self, forkery: Forkery, memory: Memory, prepare: Prepare, files: Files) -> None:
        self.memory = memory
        self._forkery, self._prepare, self._files = forkery, prepare, files
        self._lives: dict[SupervisedReplica, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._preparing = asyncio.Lock()
        self._stale: dict[SupervisedReplica, None] = {}
        """to be renewed, in this order"""
        self._some_stale = asyncio.Event()

    @asynccontextmanager
    async def running(self, replicas: Sequence[SupervisedReplica]) -> AsyncIterator[None]:
        """Start each replica as soon as it is prepared, while the server answers; end all afterwards."""
        tending = [asyncio.create_task(self.memory.tend()), asyncio.create_task(self._renew())]
        for replica in replicas:
            self.add(replica)
        try:
            yield
        finally:
            tasks = [*tending, *self._leaving, *self._lives.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._forkery.close()

    def add(self, replica: SupervisedReplica) -> None:
        """Start it, behind those that are still being prepared."""
        self.memory.add(replica.keeper)
        self._lives[replica] = asyncio.create_task(self._live(replica))

    def remove(self, replica: SupervisedReplica) -> None:
        """End it when it has answered all who were sent to it; nobody may be sent to it any more."""
        task = asyncio.create_task(self._leave(replica))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def renew(self, replica: SupervisedReplica) -> None:
        """Put a new process in its place. Of many models one after another: each is there twice meanwhile."""
        self._stale[replica] = None
        self._some_stale.set()

    async def _live(self, replica: SupervisedReplica) -> None:
        keeper = replica.keeper
        watching = asyncio.create_task(watch(lambda: self._files(replica), keeper.renew))
        try:
            while not await self._prepared(replica):
                await keeper.asked_anew()
            await keeper.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _prepared(self, replica: SupervisedReplica) -> bool:
        """Bring what the model needs; a failure is kept and told, not raised."""
        try:
            async with self._preparing:
                await self._prepare(replica)
        except SonorantError as error:
            replica.keeper.fail(error)
        except Exception as error:
            logger.exception("model %s cannot be prepared", replica.name)
            replica.keeper.fail(
                ModelError(
                    f"Preparing {replica.name} failed unexpectedly", why=f"{type(error).__name__}: {error}"
                )
            )
        else:
            return True
        return False

    async def _leave(self, replica: SupervisedReplica) -> None:
        try:
            async with asyncio.timeout(RETIRING_SECONDS):
                await asyncio.sleep(LEAVING_SECONDS)
                await replica.at_rest.wait()
        except TimeoutError:
            logger.warning("model %s is ended although it still answers", replica.name)
        life = self._lives[replica]
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        del self._lives[replica]
        self.memory.remove(replica.keeper)
        logger.info("model %s is no longer served, and its process has ended", replica.name)

    async def _renew(self) -> None:
        while True:
            await self._some_stale.wait()
            self._some_stale.clear()
            while self._stale:
                replica = next(iter(self._stale))
                del self._stale[replica]
                try:
                    async with self._preparing:
                        await self._prepare(replica)
                except SonorantError as error:
                    replica.keeper.reject(error)
                    continue
                except Exception:
                    logger.exception("model %s cannot be renewed", replica.name)
                    continue
                replica.keeper.renew()
                while replica.keeper.renewing:  # noqa: ASYNC110 - it ends with any of several things
                    await asyncio.sleep(LOOK_SECONDS)
