"""A ladder: steps that are taken one after the other while something presses, and back when it is over."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic

log = logging.getLogger("sonorant.server")


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done with so much pressure, and undone without it."""

    name: str
    above: float
    """pressure at which it is taken; steps further up have the same or more"""
    below: float
    """and under which it is taken back: lower, so that it does not go to and fro"""
    enter: Callable[[], Awaitable[None]] = _nothing
    leave: Callable[[], Awaitable[None]] = _nothing


class Ladder:
    """Goes one step at a time, as the pressure says that it is told of often."""

    def __init__(
        self,
        name: str,
        steps: Sequence[Step],
        *,
        up_seconds: float,
        down_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`up_seconds` of pressure take a step, and the next; `down_seconds` without take one back."""
        self.name, self.steps = name, tuple(steps)
        self._up_seconds, self._down_seconds, self._clock = up_seconds, down_seconds, clock
        self._height = 0
        self._high: float | None = None
        """since when the pressure has been enough for the next step"""
        self._low: float | None = None
        """since when it has been too little for the last one"""

    @property
    def taken(self) -> tuple[str, ...]:
        """The names of the steps that hold now."""
        return tuple(step.name for step in self.steps[: self._height])

    @property
    def standing(self) -> dict[str, bool]:
        """The names of all steps, and whether they hold now."""
        return {step.name: place < self._height for place, step in enumerate(self.steps)}

    async def feel(self, pressure: float) -> None:
        """Take a step or take one back, where it is time."""
        now = self._clock()
        higher = self._height < len(self.steps) and pressure >= self.steps[self._height].above
        lower = self._height > 0 and pressure < self.steps[self._height - 1].below
        self._high = (now if self._high is None else self._high) if higher else None
        self._low = (now if self._low is None else self._low) if lower else None
        if self._high is not None and now - self._high >= self._up_seconds:
            await self.climb(f"the pressure is {pressure:.2f}")
        elif self._low is not None and now - self._low >= self._down_seconds:
            await self._descend(f"the pressure is {pressure:.2f}")

    async def climb(self, why: str) -> None:
        """Take the next step at once, if there is one."""
        if self._height == len(self.steps):
            return
        step = self.steps[self._height]
        self._height += 1
        self._high = self._low = None
        log.warning("%s: step %s is taken, as %s", self.name, step.name, why)
        await step.enter()

    async def _descend(self, why: str) -> None:
        self._height -= 1
        step = self.steps[self._height]
        self._high = self._low = None
        log.warning("%s: step %s is taken back, as %s", self.name, step.name, why)
        await step.leave()
