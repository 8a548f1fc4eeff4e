"""ONNX Runtime's profile of a session, as runs and the operators in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sonorant.errors import EngineError
from sonorant.prepare.profile.work import Shape, Value, Work, work

MOST = 1_000_000
"""events; ONNX Runtime drops further ones (onnxruntime/core/common/profiler.h)"""
MICRO = 1e-6
_END = "_kernel_time"


@dataclass(slots=True)
class Operator:
    """A kernel that ran once; seconds of time.perf_counter."""

    name: str
    kind: str
    began: float
    seconds: float
    alone: float
    """seconds, without those of operators inside it (the branches of an If)"""
    work: Work
    parameters: int
    """bytes"""
    outputs: tuple[Shape, ...]


@dataclass(slots=True)
class Run:
    """One run of a session."""

    began: float
    seconds: float
    thread: int
    """as the system numbers it"""
    operators: list[Operator] = field(default_factory=list)
    peak: int = 0
    """bytes of the arena in use at most"""

    @property
    def ended(self) -> float:
        return self.began + self.seconds


def read(path: Path, start: float, weights: Mapping[str, Shape]) -> list[Run]:
    """The runs in a profile whose clock began at `start`, seconds of time.perf_counter.

    `weights`: shapes of convolutions' weights by the name of their node. Raises EngineError.
    """
    try:
        events: list[dict[str, Any]] = json.loads(path.read_bytes())
    except ValueError as error:
        raise EngineError(
            "The profile that ONNX Runtime wrote cannot be read",
            why=str(error),
            remedy="Ask for fewer --runs",
        ) from error
    runs = [
        Run(start + event["ts"] * MICRO, event["dur"] * MICRO, event["tid"])
        for event in events
        if event.get("cat") == "Session" and event.get("name") == "model_run"
    ]
    runs.sort(key=lambda run: run.began)
    kernels = [e for e in events if e.get("cat") == "Node" and e["name"].endswith(_END)]
    kernels.sort(key=lambda event: (event["ts"], -event["dur"]))
    _share_out(runs, kernels, start, weights)
    return runs


def full(path: Path) -> bool:
    """Whether the profile holds as much as ONNX Runtime writes, so that its end is missing."""
    with path.open("rb") as file:
        return sum(1 for _ in file) >= MOST


def _share_out(
    runs: Sequence[Run], kernels: Sequence[dict[str, Any]], start: float, weights: Mapping[str, Shape]
) -> None:
    """Each kernel to the run in which it began.

    Runs of one session may overlap, on threads of their own; a kernel is then of the run on its thread. With
    threads of ONNX Runtime's own between operators (ORT_PARALLEL) it is of the run that began last.
    """
    at, given = 0, [list[dict[str, Any]]() for _ in runs]
    current: dict[int, int] = {}
    latest = -1
    for event in kernels:
        began = start + event["ts"] * MICRO
        while at < len(runs) and runs[at].began <= began + MICRO:
            current[runs[at].thread] = latest = at
            at += 1
        index = current.get(event["tid"], latest)
        if index >= 0 and _within(began, runs[index]):
            given[index].append(event)
    for run, inside in zip(runs, given, strict=True):
        _fill(run, inside, start, weights)


def _within(began: float, run: Run) -> bool:
    return run.began - MICRO <= began <= run.ended + MICRO


def _fill(run: Run, events: Sequence[dict[str, Any]], start: float, weights: Mapping[str, Shape]) -> None:
    """The operators of a run, from the events in the order in which they began."""
    open_: list[Operator] = []
    for event in events:
        args = event["args"]
        name = event["name"].removesuffix(_END)
        inputs, outputs = _values(args.get("input_type_shape")), _values(args.get("output_type_shape"))
        began, seconds = start + event["ts"] * MICRO, event["dur"] * MICRO
        operator = Operator(
            name,
            args["op_name"],
            began,
            seconds,
            seconds,
            work(args["op_name"], inputs, outputs, weights.get(name)),
            int(args.get("parameter_size", 0)),
            tuple(value.shape for value in outputs),
        )
        while open_ and began >= open_[-1].began + open_[-1].seconds - MICRO / 2:
            open_.pop()
        if open_:
            open_[-1].alone = max(0.0, open_[-1].alone - seconds)
        open_.append(operator)
        run.operators.append(operator)
        run.peak = max(run.peak, int(args.get("mem_in_use_peak", 0)))


def _values(told: Any) -> tuple[Value, ...]:
    return tuple(Value(kind, tuple(shape)) for one in told or () for kind, shape in one.items())
