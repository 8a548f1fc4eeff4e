"""Who may hold memory: a budget for all models, the least recently used one unloaded first."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from sonorant.errors import NotReadyError
from sonorant.gateway.keeper import Keeper
from sonorant.observe.machine import memory
from sonorant.settings import MemorySettings

TEND_SECONDS = 1.0


class Memory:
    """Watches what the models' processes hold. Unloading ends a process, so all that it held is free.

    What is done when the machine itself is short of memory is a ladder's: see `degrade`.
    """

    def __init__(self, keepers: Sequence[Keeper], settings: MemorySettings) -> None:
        self._keepers: list[Keeper] = []
        self.take(settings)
        for keeper in keepers:
            self.add(keeper)

    def take(self, settings: MemorySettings) -> None:
        """What counts from now on."""
        self._settings = settings
        self.budget = settings.budget_bytes or round(settings.share * machine_memory())
        """bytes"""

    def add(self, keeper: Keeper) -> None:
        self._keepers.append(keeper)
        keeper.make_room = self.make_room

    def remove(self, keeper: Keeper) -> None:
        self._keepers.remove(keeper)

    @property
    def held(self) -> int:
        """bytes that the models' processes hold, or will once those that are loading have loaded"""
        return sum(keeper.memory for keeper in self._keepers)

    async def make_room(self, keeper: Keeper) -> None:
        """Unload what is idle until `keeper` fits. Raises NotReadyError where it never will, or not now."""
        while (others := self.held - keeper.memory) + keeper.need > self.budget:
            if not await self._unload_one(keeper):
                raise NotReadyError(
                    f"There is no memory for {keeper.name}",
                    why=f"It needs about {_mb(keeper.need)} MB; "
                    f"the models at work hold {_mb(others)} of {_mb(self.budget)} MB",
                    remedy="Ask again when they are idle, serve fewer models, or raise memory.budget_bytes",
                )

    async def tend(self) -> None:
        """Until cancelled: unload what has been idle for long."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            idle = self._settings.idle_seconds
            for keeper in list(self._keepers):
                keeper.measure()
                if idle and time.monotonic() - keeper.used > idle:
                    await keeper.unload()

    async def _unload_one(self, but: Keeper) -> bool:
        """The least recently used model that answers nobody; False where there is none."""
        for keeper in sorted(self._keepers, key=lambda k: k.used):
            if keeper is not but and await keeper.unload():
                return True
        return False


def machine_memory() -> int:
    """Bytes that this machine has, or that this container may use."""
    told = memory()
    return told.limit if told else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def machine_share() -> float:
    """The share of that which is in use; 0 where the system does not tell."""
    told = memory()
    return told.used / told.limit if told else 0.0


def _mb(size: int) -> int:
    return size // 2**20
