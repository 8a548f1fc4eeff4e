"""A device and its slots: where everything that computes takes its turn, off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def default_slots() -> int:
    """One slot a core: what releases the GIL (engines, numpy, codecs) then fills the machine."""
    return max(2, os.cpu_count() or 1)


class Device:
    """`slots` pieces of work at a time, first come first served.

    The queue is bounded by its callers: a request waits for one piece of work at a time, and the
    gateway admits a bounded number of requests.
    """

    def __init__(self, name: str, slots: int | None = None) -> None:
        self.name = name
        self.slots = slots or default_slots()
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix=f"sonorant-{name}")

    async def run(self, work: Callable[[], T], stop: Callable[[], None] | None = None) -> T:
        """Run `work` on a slot.

        When the caller is cancelled, work that has not begun never begins, and work that runs is
        told to `stop`; its slot stays taken until it really ends.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            if stop is not None:
                stop()
            raise

    def close(self) -> None:
        """Drop what waits and let what runs end; returns when it has."""
        self._pool.shutdown(wait=True, cancel_futures=True)
