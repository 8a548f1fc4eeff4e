"""The Pareto front: configurations of which none is better in one figure without being worse in another."""

from __future__ import annotations

from collections.abc import Sequence

from sonorant.tasks import Task
from sonorant.tune.measured import figure
from sonorant.tune.rows import OBJECTIVE, Row


def axes(task: Task) -> tuple[str, ...]:
    """The figures that are weighed against each other."""
    soon = "latency_p95" if task is Task.TRANSCRIPTION else "ttfa_p95"
    return OBJECTIVE, soon, "memory"


def front(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Those on the front, in their order. What was not measured of a row weighs nothing; rows with
    the same figures are all on it."""
    sound = [row for row in rows if row.trials and not row.fault]
    return [row for row in sound if not any(_dominates(other, row, names) for other in sound)]


def _dominates(one: Row, other: Row, names: Sequence[str]) -> bool:
    better = False
    for name in names:
        ours, theirs = one.value(name), other.value(name)
        if ours is None or theirs is None:
            continue
        found = figure(name)
        gain = ours - theirs if found and found.more else theirs - ours
        if gain < 0:
            return False
        better = better or gain > 0
    return better
