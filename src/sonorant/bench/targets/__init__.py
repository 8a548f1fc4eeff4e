"""Targets: thresholds as data, and whether a report keeps them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sonorant.bench.figures import Percentiles
from sonorant.bench.report import Load, Report
from sonorant.errors import SettingsError

SHIPPED = ("assistant", "default")


class Sense(StrEnum):
    """Which side of a bound is wanted."""

    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"


SIGNS = {Sense.BELOW: "<", Sense.AT_MOST: "≤", Sense.ABOVE: ">", Sense.AT_LEAST: "≥"}


@dataclass(frozen=True)
class Goal:
    """One bound on one figure."""

    figure: str
    sense: Sense
    bound: float

    def kept_by(self, value: float) -> bool:
        """Whether `value` is on the wanted side."""
        match self.sense:
            case Sense.BELOW:
                return value < self.bound
            case Sense.AT_MOST:
                return value <= self.bound
            case Sense.ABOVE:
                return value > self.bound
            case Sense.AT_LEAST:
                return value >= self.bound


@dataclass(frozen=True)
class Target:
    """A name and goals."""

    name: str
    goals: tuple[Goal, ...]

    @property
    def clients(self) -> int:
        """How many clients the goals of a load are judged with, at least."""
        bounds = (goal.bound for goal in self.goals if goal.figure == "concurrent")
        return int(max(bounds, default=1))


@dataclass(frozen=True)
class Verdict:
    """A goal and what was measured; `value` None = it was not measured, which is neither kept nor missed."""

    goal: Goal
    value: float | None

    @property
    def kept(self) -> bool | None:
        """None = not measured."""
        return None if self.value is None else self.goal.kept_by(self.value)


def _percentile(name: str, percentile: str) -> Callable[[Load], float | None]:
    def read(load: Load) -> float | None:
        found: Percentiles | None = getattr(load.figures, name)
        return None if found is None else float(getattr(found, percentile))

    return read


_OF_A_LOAD: dict[str, Callable[[Load], float | None]] = {
    f"{name}_{percentile}": _percentile(name, percentile)
    for name in ("ttfa", "first_audio", "whole", "rtf")
    for percentile in ("p50", "p95", "p99")
} | {
    "rtfx": lambda load: load.figures.rtfx,
    "in_time": lambda load: load.figures.in_time,
    "underruns": lambda load: load.figures.underruns,
    "breaks": lambda load: load.figures.breaks,
    "failures": lambda load: 1 - load.figures.ok / load.figures.requests if load.figures.requests else None,
}


def _largest(values: list[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


_OF_ALL: dict[str, Callable[[Report], float | None]] = {
    "concurrent": lambda report: report.concurrent,
    "memory": lambda report: _largest([load.memory_peak for load in report.loads]),
    "device_memory": lambda report: _largest([load.device_memory for load in report.loads]),
    "memory_loaded": lambda report: report.memory_loaded,
    "memory_a_request": lambda report: report.memory_a_request,
    "memory_a_client": lambda report: report.memory_a_client,
    "mos": lambda report: None,  # no model here gives opinions yet
}

FIGURES = (*_OF_ALL, *_OF_A_LOAD)
"""what a goal can be set for"""


def read_target(name: str) -> Target:
    """A shipped target by its name, or a TOML file by its path. Raises SettingsError."""
    path = Path(__file__).with_name(f"{name}.toml") if name in SHIPPED else Path(name)
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"The target {name} cannot be read",
            why=error.strerror or str(error),
            remedy=f"Name a TOML file, or one of {', '.join(SHIPPED)}",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(name, str(error)) from error
    goals = tree.pop("goals", None)
    if tree or not isinstance(goals, dict) or not goals:
        raise _wrong(name, "It needs one table, [goals], and nothing beside it")
    return Target(path.stem, tuple(_goal(name, figure, bound) for figure, bound in goals.items()))


def _goal(name: str, figure: str, bounds: Any) -> Goal:
    if figure not in FIGURES:
        raise _wrong(name, f"{figure} is no figure; known here: {', '.join(FIGURES)}")
    if not isinstance(bounds, dict) or len(bounds) != 1:
        raise _wrong(name, f"{figure} needs one bound: below, at_most, above or at_least")
    ((sense, bound),) = bounds.items()
    if sense not in list(Sense) or isinstance(bound, bool) or not isinstance(bound, int | float):
        raise _wrong(name, f"{figure} needs one bound: below, at_most, above or at_least")
    return Goal(figure, Sense(sense), float(bound))


def _wrong(name: str, why: str) -> SettingsError:
    return SettingsError(
        f"The target {name} is wrong", why=why, remedy="docs/bench.md describes what stands in it"
    )


def judge(target: Target, report: Report) -> tuple[Verdict, ...]:
    """Every goal, in the target's order.

    What a load shows is judged on the closed loop with the fewest clients that are enough for the target.
    """
    enough = [load for load in report.closed if (load.clients or 0) >= target.clients]

    def measured(goal: Goal) -> float | None:
        if goal.figure == "concurrent" and not enough and report.concurrent == report.most_clients:
            return None  # all went well, but so many clients were not tried
        if goal.figure in _OF_ALL:
            return _OF_ALL[goal.figure](report)
        return _OF_A_LOAD[goal.figure](enough[0]) if enough else None

    return tuple(Verdict(goal, measured(goal)) for goal in target.goals)
