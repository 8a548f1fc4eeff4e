"""What one load showed, as it is kept in the journal, and the figures of it that have names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sonorant.bench.figures import Percentiles
from sonorant.bench.report import Load
from sonorant.tasks import Task


class Kind(StrEnum):
    """What a figure is measured in."""

    TIME = "time"
    """seconds"""
    BYTES = "bytes"
    RATIO = "ratio"
    """of two times"""
    RATE = "rate"
    """a second"""
    SHARE = "share"
    ENERGY = "energy"
    """joules"""
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that a bound can be set on."""

    name: str
    kind: Kind
    more: bool = False
    """whether more of it is better"""
    tasks: frozenset[Task] = frozenset(Task)
    """where it makes sense"""


_HEARD = frozenset({Task.SPEECH, Task.VOCODING})
PERCENTILES: dict[str, Figure] = {
    "ttfa": Figure("ttfa", Kind.TIME, tasks=_HEARD),
    "latency": Figure("latency", Kind.TIME),
    "rtf": Figure("rtf", Kind.RATIO),
}
"""figures of each request: NAME_pNN is a percentile of them"""
OTHERS: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("rtf", Kind.RATIO),
        Figure("throughput", Kind.RATIO, more=True),
        Figure("requests", Kind.RATE, more=True),
        Figure("clients", Kind.COUNT, more=True),
        Figure("memory", Kind.BYTES),
        Figure("device_memory", Kind.BYTES),
        Figure("breaks", Kind.SHARE, tasks=_HEARD),
        Figure("energy", Kind.ENERGY),
    )
}
"""figures of the whole load"""

REFUSED, NO_ANSWER = "429", "no answer"
"""faults of a load that is too much"""

_PERCENTILE = re.compile(r"(ttfa|latency|rtf)_p([1-9][0-9]?)")


def figure(name: str) -> Figure | None:
    """The figure of that name; None where there is none."""
    if match := _PERCENTILE.fullmatch(name):
        of = PERCENTILES[match[1]]
        return Figure(name, of.kind, of.more, of.tasks)
    return OTHERS.get(name)


def known(task: Task) -> list[str]:
    """The names of a task's figures, for people."""
    names = [f"{name}_p50 … {name}_p99" for name, one in PERCENTILES.items() if task in one.tasks]
    return names + [name for name, one in OTHERS.items() if task in one.tasks]


@dataclass(frozen=True, slots=True)
class Measured:
    """One load. Times in seconds; None = not measured, or not of this task."""

    clients: int
    requests: int
    wall: float
    """seconds that all of them took"""
    answered: float
    """share of the requests that ended well"""
    throughput: float
    """seconds of audio that all clients together got, or were heard, a second"""
    requests_a_second: float
    memory: int | None
    """bytes: the most that all processes of the server held"""
    device_memory: int | None
    breaks: float | None
    """share of requests whose playback ran dry"""
    energy: float | None
    """joules of the whole machine for a second of audio"""
    curves: Mapping[str, tuple[float, ...]]
    """ttfa, latency and rtf at each whole percent, 0 to 100"""
    faults: Mapping[str, int]
    """why requests were not answered → how many"""
    given_up: bool = False
    """ended before its time, as it was beyond hope"""

    @classmethod
    def of(cls, load: Load, joules: float | None, *, given_up: bool = False) -> Measured:
        """joules: that the machine took while the load ran."""
        found = load.figures
        audio = found.rtfx * found.wall
        curves: dict[str, Percentiles | None] = {"ttfa": found.ttfa, "latency": found.whole, "rtf": found.rtf}
        faults = {REFUSED: found.refused, NO_ANSWER: found.hung, **found.reasons}
        return cls(
            clients=load.clients or 0,
            requests=found.requests,
            wall=found.wall,
            answered=found.ok / found.requests if found.requests else 0.0,
            throughput=found.rtfx,
            requests_a_second=found.throughput,
            memory=load.memory_peak,
            device_memory=load.device_memory,
            breaks=found.breaks,
            energy=joules / audio if joules is not None and audio else None,
            curves={name: tuple(round(v, 6) for v in one.curve) for name, one in curves.items() if one},
            faults={reason: count for reason, count in faults.items() if count},
            given_up=given_up,
        )

    @property
    def crowded(self) -> bool:
        """Whether so many asked at once that some were refused, or waited in vain."""
        return bool(self.faults.keys() & {REFUSED, NO_ANSWER})

    def value(self, name: str) -> float | None:
        """Of the figure of that name; `clients` is what was tried."""
        if match := _PERCENTILE.fullmatch(name):
            curve = self.curves.get(match[1])
            return curve[int(match[2])] if curve else None
        if name == "rtf":
            return self.value("rtf_p50")
        return {
            "answered": self.answered,
            "throughput": self.throughput,
            "requests": self.requests_a_second,
            "clients": float(self.clients),
            "memory": self.memory,
            "device_memory": self.device_memory,
            "breaks": self.breaks,
            "energy": self.energy,
        }[name]
