"""Who may hold memory: a budget for all models, the least recently used one unloaded first."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from sonorant.errors import NotReadyError
from sonorant.gateway.keeper import Keeper
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
    """Bytes that this machine has, or that this container may use (cgroup v2, v1)."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read(Path("/sys/fs/cgroup") / name)
        if text.isdigit():
            return min(whole, int(text))
    return whole


def machine_share() -> float:
    """The share of this machine's memory that is in use; 0 where the system does not tell."""
    rows = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines() if ":" in line)
    if not {"MemTotal", "MemAvailable"} <= rows.keys():
        return 0.0
    total, free = (int(rows[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return 1 - free / total


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _mb(size: int) -> int:
    return size // 2**20
