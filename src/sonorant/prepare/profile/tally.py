"""Pieces, runs and operators as one report."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sonorant.prepare.profile.energy import Energy
from sonorant.prepare.profile.host import Watched
from sonorant.prepare.profile.limits import Limits
from sonorant.prepare.profile.ort_trace import Operator, Run
from sonorant.prepare.profile.timeline import Piece
from sonorant.prepare.profile.work import QUANTISED, Shape

NOTABLE = 0.01
"""of a network's time: operators whose FLOPs are not known are counted as none up to that"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was watched; seconds of time.perf_counter."""

    began: float
    ended: float
    audio: float
    """seconds of sound said or heard; 0 = none"""

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything of one name that took a slot of the device. Seconds and counts are of one request."""

    name: str
    network: bool
    seconds: float
    count: float
    share: float
    """of the device's time"""
    resident: int
    """bytes of the process, the most at the end of one"""


@dataclass(frozen=True, slots=True)
class Kind:
    """All operators of one type in one network. Seconds and counts are of one request."""

    network: str
    op: str
    seconds: float
    count: float
    share: float
    """of the device's time"""
    flops: float | None
    """None: the shapes of some do not tell"""
    moved: float
    """bytes"""
    gflops: float
    """10⁹ FLOPs a second"""
    gigabytes: float
    """10⁹ bytes a second"""
    of_limit: float | None
    """the least time that this machine needs for it / the time that it took; None where that is not known"""
    memory_bound: bool
    """memory holds it back before arithmetic does"""
    quantised: bool
    shape: Shape
    """of the output of the one that took longest"""


@dataclass(frozen=True, slots=True)
class NetworkTally:
    """A network's runs. Seconds and counts are of one request."""

    name: str
    source: str
    provider: str
    runs: float
    seconds: float
    operators: float
    """seconds in operators; the rest is dispatch, and the profiler's own"""
    share: float
    flops: float
    flops_known: bool
    """False: operators whose shapes do not tell took a notable time; it is more"""
    moved: float
    parameters: int | None
    """bytes of weights; None: its engine does not tell"""
    arena_peak: int | None
    """bytes in use in a run at most; None: its engine does not tell"""
    nodes: int
    """of the file; 0 = it is none that is read"""
    fused_before: bool
    """it was published fused"""
    kernels: int
    """different ones that ran: what is left of the nodes after fusion, in the branches that were taken"""
    launched: float
    """kernels in one run"""
    full: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of this process."""

    before: int
    loaded: int
    """model and parts loaded and warmed up"""
    peak: int
    """the most at the end of a piece of work"""


@dataclass(frozen=True, slots=True)
class Report:
    """Where time and memory go. Seconds are of one request, on average, unless said otherwise."""

    model: str
    device: str
    requests: int
    seconds: float
    """of a request that is watched, the fastest"""
    plain: float
    """of one that is not, the fastest"""
    audio: float
    busy: float
    """seconds of the device, all slots together, of a request that is watched: what shares are of"""
    plain_busy: float
    """of `plain`"""
    outside: float
    """seconds of `plain` in which nothing ran on the device: decoding of audio, waiting"""
    stages: tuple[Stage, ...]
    networks: tuple[NetworkTally, ...]
    kinds: tuple[Kind, ...]
    memory: Memory
    limits: Limits | None
    energy: Energy


def within(pieces: Iterable[Piece], requests: Sequence[Request]) -> list[Piece]:
    """Those of the requests, in the order in which they began."""
    starts = [request.began for request in requests]

    def inside(piece: Piece) -> bool:
        index = bisect_right(starts, piece.began) - 1
        return index >= 0 and piece.began <= requests[index].ended

    return sorted((piece for piece in pieces if inside(piece)), key=lambda piece: piece.began)


def runs_within(watched: Watched, requests: Sequence[Request]) -> list[Run]:
    starts = [request.began for request in requests]

    def inside(run: Run) -> bool:
        index = bisect_right(starts, run.began) - 1
        return index >= 0 and run.began <= requests[index].ended

    return [run for run in watched.runs if inside(run)]


def stages(pieces: Sequence[Piece], networks: Iterable[str], requests: int) -> tuple[Stage, ...]:
    """The longest first."""
    named: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        named[piece.stage].append(piece)
    names = set(networks)
    whole = sum(piece.ended - piece.began for piece in pieces) or 1.0
    found = []
    for name, those in named.items():
        seconds = sum(piece.ended - piece.began for piece in those)
        most = max(piece.resident for piece in those)
        found.append(
            Stage(name, name in names, seconds / requests, len(those) / requests, seconds / whole, most)
        )
    return tuple(sorted(found, key=lambda stage: -stage.seconds))


def network(watched: Watched, runs: Sequence[Run], requests: int, busy: float) -> NetworkTally:
    operators = [operator for run in runs for operator in run.operators]
    seconds = sum(run.seconds for run in runs) / requests
    return NetworkTally(
        watched.name,
        watched.engine.source,
        watched.engine.provider,
        len(runs) / requests,
        seconds,
        sum(operator.alone for operator in operators) / requests,
        seconds / busy if busy else 0.0,
        sum(operator.work.flops or 0 for operator in operators) / requests,
        _known(operators),
        sum(operator.work.bytes for operator in operators) / requests,
        watched.file.weights if watched.file else None,
        max((run.peak for run in runs), default=0) or None,
        watched.file.nodes if watched.file else 0,
        watched.file is not None and watched.file.optimised,
        len({operator.name for operator in operators}),
        len(operators) / len(runs) if runs else 0.0,
        watched.full,
    )


def _known(operators: Sequence[Operator]) -> bool:
    unknown = sum(operator.alone for operator in operators if operator.work.flops is None)
    return unknown <= NOTABLE * sum(operator.alone for operator in operators)


def kinds(
    name: str, runs: Sequence[Run], requests: int, busy: float, limits: Limits | None
) -> tuple[Kind, ...]:
    """The operators of a network by type, the longest first."""
    grouped: dict[str, list[Operator]] = defaultdict(list)
    for run in runs:
        for operator in run.operators:
            grouped[operator.kind].append(operator)
    found = []
    for op, those in grouped.items():
        seconds = sum(operator.alone for operator in those)
        flops = [operator.work.flops for operator in those]
        known = [one for one in flops if one is not None]
        moved = sum(operator.work.bytes for operator in those)
        quantised, of_limit, memory_bound = op in QUANTISED, None, False
        if limits is not None and len(known) == len(flops) and seconds > 0 and (moved or sum(known)):
            least = sum(
                limits.seconds(operator.work.flops or 0, operator.work.bytes, quantised=quantised)
                for operator in those
            )
            of_limit = least / seconds
            memory_bound = limits.bound_by_memory(sum(known), moved, quantised=quantised)
        spent: Counter[Shape] = Counter()
        for operator in those:
            if operator.outputs:
                spent[operator.outputs[0]] += operator.alone  # type: ignore[assignment]
        found.append(
            Kind(
                name,
                op,
                seconds / requests,
                len(those) / requests,
                seconds / requests / busy if busy else 0.0,
                sum(known) / requests if len(known) == len(flops) else None,
                moved / requests,
                sum(known) / seconds / 1e9 if seconds else 0.0,
                moved / seconds / 1e9 if seconds else 0.0,
                of_limit,
                memory_bound,
                quantised,
                spent.most_common(1)[0][0] if spent else (),
            )
        )
    return tuple(sorted(found, key=lambda kind: -kind.seconds))


def busy(request: Request, pieces: Iterable[Piece]) -> float:
    """Seconds of the device in a request, all slots together."""
    return sum(piece.ended - piece.began for piece in pieces if request.began <= piece.began <= request.ended)


def idle(request: Request, pieces: Sequence[Piece]) -> float:
    """Seconds of a request in which nothing ran on the device. `pieces`: in the order in which they began."""
    covered, until = 0.0, request.began
    for piece in pieces:
        began, ended = max(piece.began, until), min(piece.ended, request.ended)
        if ended > began and piece.began < request.ended:
            covered += ended - began
            until = ended
    return max(0.0, request.seconds - covered)
