"""What a run needs for itself and is dear to make (interpreters, requests, contexts), kept within bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 16
"""that are kept, where an engine does not know how many runs compute at once"""


class Pool(Generic[T]):
    """Of one engine, which closes it. Safe from any thread."""

    def __init__(self, make: Callable[[], T], most: int = MOST) -> None:
        """`make` gives a new one, and may raise. `most`: that are kept when they come back."""
        self._make, self._most = make, most
        self._free: list[T] = []
        """the last one is the next to be taken"""
        self._lock = threading.Lock()

    def take(self) -> T:
        """One that nobody else has. Raises what making one raises."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._make()

    def give(self, one: T) -> None:
        """Back, to be taken again."""
        with self._lock:
            if len(self._free) < self._most:
                self._free.append(one)

    def release(self, keep: int = 0) -> None:
        """Free those that nobody has, but for so many."""
        with self._lock:
            del self._free[keep:]

    def close(self) -> None:
        """Free all; one that is lent is freed when it comes back."""
        self._most = 0
        self.release()
