"""Requests a minute of one tenant."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Quota:
    """So many requests a minute, in any order: a bucket that fills again evenly."""

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._left, self._at = float(limit), clock()

    @property
    def remaining(self) -> int:
        """Requests that may come now."""
        return int(self._now())

    @property
    def reset(self) -> float:
        """Seconds until the bucket is full."""
        return (self.limit - self._now()) * 60 / self.limit

    @property
    def wait(self) -> float:
        """Seconds until the next request may come; 0 = it may come now."""
        return max(0.0, 1 - self._now()) * 60 / self.limit

    def take(self) -> None:
        self._left = self._now() - 1

    def _now(self) -> float:
        now = self._clock()
        self._left = min(float(self.limit), self._left + (now - self._at) * self.limit / 60)
        self._at = now
        return self._left
