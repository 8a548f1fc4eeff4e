"""What a user wants of a served model: "ttfa_p95<200ms,memory<2GB"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from sonorant.bench.targets import SIGNS, Goal, Sense
from sonorant.errors import RequestError
from sonorant.tasks import Task
from sonorant.tune.measured import Figure, Kind, figure, known

UNITS: Mapping[Kind, Mapping[str, float]] = {
    Kind.TIME: {"ms": 1e-3, "s": 1.0},
    Kind.BYTES: {
        "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    },
    Kind.RATIO: {"": 1.0, "x": 1.0},
    Kind.RATE: {"": 1.0, "/s": 1.0},
    Kind.SHARE: {"%": 0.01},
    Kind.ENERGY: {"J": 1.0},
    Kind.COUNT: {"": 1.0},
}  # fmt: skip
"""units by what a figure is measured in; "" = none need be written"""
ANSWERED = 0.99
"""share of the requests that must be answered, whatever else is asked for: who is refused hears nothing"""

Value = Callable[[str], float | None]
"""the name of a figure → its value, None where it was not measured"""

_ALL_ANSWERED = Goal("answered", Sense.AT_LEAST, ANSWERED)
_SENSES = {"<": Sense.BELOW, "<=": Sense.AT_MOST, "≤": Sense.AT_MOST}
_SENSES |= {">": Sense.ABOVE, ">=": Sense.AT_LEAST, "≥": Sense.AT_LEAST}
_GOAL = re.compile(r"\s*([a-z_0-9]+)\s*(<=|>=|[<>≤≥])\s*([0-9]*\.?[0-9]+)\s*([A-Za-z/%]*)\s*")
_EXAMPLE = "Write bounds with commas between them: ttfa_p95<200ms,memory<2GB"


@dataclass(frozen=True, slots=True)
class Missed:
    """A bound that was not kept."""

    goal: Goal
    value: float
    by: float
    """how much of the bound is missing, or too much: 0.2 = 20%"""


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds that must be kept together; none = whatever is answered will do."""

    goals: tuple[Goal, ...] = ()

    @property
    def clients(self) -> int:
        """How many must be served at once; 0 = it does not say."""
        bounds = [
            int(goal.bound) + 1 if goal.sense is Sense.ABOVE else ceil(goal.bound)
            for goal in self.goals
            if goal.figure == "clients"
        ]
        return max(bounds, default=0)

    def missed(self, value: Value) -> list[Missed]:
        """What a load did not keep, the furthest first. A figure that cannot be measured here misses nothing;
        `clients` is kept where everything else is with that many, so it is no bound of its own."""
        found = []
        for goal in (*self.goals, _ALL_ANSWERED):
            has = value(goal.figure)
            if goal.figure != "clients" and has is not None and not goal.kept_by(has):
                found.append(Missed(goal, has, _off(has, goal)))
        return sorted(found, key=lambda one: -one.by)

    def unmeasured(self, value: Value) -> list[Goal]:
        """Bounds on what cannot be measured here, such as energy where no counter is."""
        return [goal for goal in self.goals if value(goal.figure) is None]


def _off(value: float, goal: Goal) -> float:
    return abs(value - goal.bound) / goal.bound if goal.bound else abs(value)


def parse(text: str, task: Task) -> Slo:
    """Read the bounds that a user has written. Raises RequestError, which lists what is known."""
    return Slo(tuple(_goal(part, task) for part in text.split(",") if part.strip()))


def _goal(text: str, task: Task) -> Goal:
    match = _GOAL.fullmatch(text)
    if match is None:
        raise _wrong(text, "It is not FIGURE<NUMBER or FIGURE>NUMBER", _EXAMPLE)
    name, sign, number, unit = match.groups()
    wanted = figure(name)
    if wanted is None or task not in wanted.tasks:
        raise _wrong(
            text,
            f"{name} is not a figure of {task}",
            f"Known here: {', '.join(known(task))}",
        )
    sense = _SENSES[sign]
    if wanted.more is not (sense in (Sense.ABOVE, Sense.AT_LEAST)):
        raise _wrong(text, f"{name} is better when it is {'larger' if wanted.more else 'smaller'}", _EXAMPLE)
    if name == "throughput" and unit == "/s":
        wanted = figure("requests") or wanted
    return Goal(wanted.name, sense, float(number) * _factor(text, wanted, unit))


def _factor(text: str, wanted: Figure, unit: str) -> float:
    units = UNITS[wanted.kind]
    if unit not in units:
        names = ", ".join(name for name in units if name)
        raise _wrong(
            text,
            f"{unit} is no unit of {wanted.name}" if unit else f"{wanted.name} needs a unit",
            f"Write one of {names}" if names else "Write a number alone",
        )
    return units[unit]


def _wrong(text: str, why: str, remedy: str) -> RequestError:
    return RequestError(f"The bound {text.strip()!r} makes no sense", why=why, remedy=remedy, param="slo")


def said(goal: Goal) -> str:
    """A goal as a user writes it."""
    return f"{goal.figure} {SIGNS[goal.sense]} {amount(goal.figure, goal.bound)}"


def amount(name: str, value: float) -> str:
    """A value of a figure, with its unit."""
    found = figure(name)
    match found.kind if found else Kind.SHARE:
        case Kind.TIME:
            return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"
        case Kind.BYTES:
            return f"{value / 1e6:,.0f} MB"
        case Kind.RATIO:
            return f"{value:.3g}" if name.startswith("rtf") else f"{value:.3g} x"
        case Kind.RATE:
            return f"{value:.3g}/s"
        case Kind.SHARE:
            return f"{value:.1%}"
        case Kind.ENERGY:
            return f"{value:.3g} J"
        case Kind.COUNT:
            return f"{value:g}"
