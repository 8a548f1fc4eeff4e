"""What a run of a network costs: seconds as a function of how much time its input spans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FOLLOW = 0.1
"""how far a new measurement moves the correction"""
OUTLIER = 2.0
"""times what was expected; more or less than that counts as so much: a slot may wait for the machine"""


@dataclass(frozen=True, slots=True)
class Measured:
    """A run that was timed."""

    frames: int
    """of each row, along the network's own axis of time"""
    seconds: float
    rows: int = 1


class CostModel:
    """seconds = a + rows × (b × frames + c × frames²), fitted at warm-up and corrected by every run.

    Without a measurement everything costs nothing.
    """

    def __init__(self) -> None:
        self._a = self._b = self._c = 0.0
        self._crowd = 1.0
        """seconds of a row among others, in those of a row alone"""
        self._correction = 0.0
        """natural logarithm"""

    def fit(self, points: Sequence[Measured]) -> None:
        """Solo runs of different lengths, and any with several rows."""
        fastest: dict[int, float] = {}
        for point in points:
            if point.rows == 1:
                fastest[point.frames] = min(point.seconds, fastest.get(point.frames, math.inf))
        if not fastest:
            return
        self._a, self._b, self._c = _curve(sorted(fastest.items()))
        self._correction, self._crowd = 0.0, 1.0
        ratios = [
            (point.seconds - self._a) / (point.rows * self._row(point.frames))
            for point in points
            if point.rows > 1 and self._row(point.frames) > 0
        ]
        if ratios:
            self._crowd = max(0.0, min(ratios))

    def predict(self, frames: int, rows: int = 1) -> float:
        """Seconds that a run should take."""
        crowd = self._crowd if rows > 1 else 1.0
        return (self._a + rows * crowd * self._row(frames)) * math.exp(self._correction)

    def observe(self, frames: int, rows: int, seconds: float) -> None:
        """Correct the prediction by a run that took `seconds`."""
        expected = self.predict(frames, rows)
        if expected > 0 and seconds > 0:
            surprise = min(max(seconds / expected, 1 / OUTLIER), OUTLIER)
            self._correction += FOLLOW * math.log(surprise)

    def _row(self, frames: int) -> float:
        return self._b * frames + self._c * frames * frames


def _curve(points: Sequence[tuple[int, float]]) -> tuple[float, float, float]:
    """a, b, c ≥ 0 through (frames, seconds) of ascending frames: as many of them as the points allow."""
    (x, y), (z, w) = points[0], points[-1]
    if len(points) > 2 and x != z:
        m, v = points[len(points) // 2]
        slope = (v - y) / (m - x)
        c = ((w - v) / (z - m) - slope) / (z - x)
        b = slope - c * (x + m)
        a = y - b * x - c * x * x
        if min(a, b, c) >= 0:
            return a, b, c
    if x != z and (w - y) / (z - x) >= 0:
        b = (w - y) / (z - x)
        if (a := y - b * x) >= 0:
            return a, b, 0.0
    return (0.0, w / z, 0.0) if z else (w, 0.0, 0.0)
