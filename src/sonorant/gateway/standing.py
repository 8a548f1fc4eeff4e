"""Which steps the ladders have taken, and which of them an answer was affected by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol


class Eased(StrEnum):
    """The steps that there are. Each is named in headers, logs, metrics and /health."""

    LARGER = "larger-batches"
    FAST = "fast"
    FALLBACK = "fallback"
    CACHES = "free-caches"
    SMALLER = "smaller-batches"
    UNLOAD = "unload-idle"
    REFUSE_BULK = "refuse-bulk"
    REFUSE = "refuse"


class Climbing(Protocol):
    """As much of a ladder as others look at."""

    @property
    def name(self) -> str: ...

    @property
    def standing(self) -> dict[str, bool]: ...


class Standing:
    """What holds for requests that come now. Empty until ladders are put up."""

    def __init__(self) -> None:
        self.ladders: tuple[Climbing, ...] = ()

    def __contains__(self, step: Eased) -> bool:
        return any(ladder.standing.get(step) for ladder in self.ladders)

    @property
    def all(self) -> dict[str, dict[str, bool]]:
        """The steps of each ladder, and whether they are taken."""
        return {ladder.name: ladder.standing for ladder in self.ladders}

    @property
    def steps(self) -> dict[str, list[str]]:
        """Of each ladder that has left the ground, the steps that it has taken."""
        taken = {
            name: [step for step, is_taken in steps.items() if is_taken] for name, steps in self.all.items()
        }
        return {name: steps for name, steps in taken.items() if steps}


_affected: ContextVar[dict[str, None] | None] = ContextVar("affected", default=None)


@contextmanager
def affecting() -> Iterator[dict[str, None]]:
    """The steps by which the request of this task is affected, as far as that is known, in their order."""
    steps: dict[str, None] = {}
    token = _affected.set(steps)
    try:
        yield steps
    finally:
        _affected.reset(token)


def affected(step: Eased) -> None:
    """The answer to the request of this task is another by it, or comes at another time."""
    if (steps := _affected.get()) is not None:
        steps[step] = None
