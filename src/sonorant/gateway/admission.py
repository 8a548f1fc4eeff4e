"""How many requests may wait or run at one model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sonorant.errors import BusyError


class Admission:
    """Counts the requests that are inside, per model, and refuses those over the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside: Counter[str] = Counter()

    @contextmanager
    def admit(self, model: str) -> Iterator[None]:
        """Hold a place at `model`. Raises BusyError where none is free."""
        if self._inside[model] >= self.limit:
            raise BusyError(
                f"{model} already has {self.limit} requests waiting or running",
                remedy="Try again in a moment, or let the operator raise limits.waiting",
            )
        self._inside[model] += 1
        try:
            yield
        finally:
            self._inside[model] -= 1
