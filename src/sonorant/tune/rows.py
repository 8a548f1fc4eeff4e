"""Trials of one configuration together: medians, spreads, and how configurations stand to each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from sonorant.tune.measured import Measured
from sonorant.tune.slo import Missed, Slo
from sonorant.tune.space import Candidate

OBJECTIVE = "throughput"
"""what is wanted most of, within the bounds"""

OVERLAP = 0.75
"""times the throughput of another in one trial, above which more of them may show that it is as good: on a
machine that does other things, too, two trials of the same differ by as much"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement of a configuration under one load, or why there is none."""

    candidate: Candidate
    clients: int
    run: int
    """the how manieth of this configuration under this load, from 0; below 0: none of them"""
    measured: Measured | None
    fault: str = ""
    seconds: float = 0.0
    """that the trial took, all of it"""


@dataclass(frozen=True, slots=True)
class Row:
    """A configuration and its trials under the same load."""

    candidate: Candidate
    trials: tuple[Trial, ...]

    @property
    def fault(self) -> str:
        """Why one of its trials failed: what fails now and then is not served."""
        return next((trial.fault for trial in self.trials if trial.measured is None), "")

    @property
    def given_up(self) -> bool:
        """Whether its first answers showed that it could not be the best, and it was left at that."""
        return any(trial.measured.given_up for trial in self.trials if trial.measured)

    def values(self, name: str) -> list[float]:
        """Of a figure, one a trial that measured it."""
        each = (trial.measured.value(name) for trial in self.trials if trial.measured)
        return [value for value in each if value is not None]

    def value(self, name: str) -> float | None:
        """The median of its trials."""
        values = self.values(name)
        return median(values) if values else None

    def spread(self, name: str) -> float | None:
        """(most − least) / median of its trials; None where there is but one."""
        values = self.values(name)
        middle = median(values) if len(values) > 1 else 0.0
        return (max(values) - min(values)) / middle if middle else None

    def missed(self, slo: Slo) -> list[Missed]:
        """What of the bounds its medians miss, the furthest first."""
        return slo.missed(self.value)


def standing(row: Row, slo: Slo) -> tuple[int, float]:
    """By which the better of two rows is larger: what fails, then what misses bounds (the less the better),
    then what keeps them (the more throughput the better)."""
    if row.fault or not row.trials:
        return 0, 0.0
    if missed := row.missed(slo):
        return 1, -missed[0].by
    return 2, row.value(OBJECTIVE) or 0.0


def told_apart(one: Row, other: Row) -> bool:
    """Whether the trials of one all have more throughput than those of the other, or all less: much less,
    where one of them was measured but once."""
    ours, theirs = one.values(OBJECTIVE), other.values(OBJECTIVE)
    if not (ours and theirs):
        return True
    margin = OVERLAP if min(len(ours), len(theirs)) == 1 else 1.0
    return margin * min(ours) > max(theirs) or max(ours) < margin * min(theirs)


def chosen(rows: Sequence[Row], slo: Slo) -> Row | None:
    """The best that keeps the bounds; of those that cannot be told apart from it, the simplest: the one that
    changes the fewest settings. None where none keeps them."""
    kept = [row for row in rows if standing(row, slo)[0] == 2]
    if not kept:
        return None
    best = max(kept, key=lambda row: standing(row, slo))
    equal = peers(kept, best, slo)
    return min(equal, key=lambda row: (len(row.candidate.settings), -(row.value(OBJECTIVE) or 0.0)))


def peers(rows: Iterable[Row], best: Row, slo: Slo) -> list[Row]:
    """Those that keep the bounds, were measured more than once if it was, and cannot be told apart from
    `best`; it, too."""
    often = min(2, len(best.trials))
    kept = [row for row in rows if standing(row, slo)[0] == 2 and len(row.trials) >= often]
    return [row for row in kept if row.candidate == best.candidate or not told_apart(row, best)]


def nearest(rows: Iterable[Row], slo: Slo) -> Row | None:
    """Of those that miss the bounds, the one that misses them least."""
    missing = [row for row in rows if standing(row, slo)[0] == 1]
    return max(missing, key=lambda row: standing(row, slo), default=None)


def measured(row: Row) -> Measured | None:
    """One of its trials, for what all of them share."""
    return next((trial.measured for trial in row.trials if trial.measured), None)
