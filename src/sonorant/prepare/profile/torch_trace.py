"""torch's profiler around each run of a torch engine: the operators that it called."""

from __future__ import annotations

import threading
import time
from math import prod
from typing import Any

from sonorant.networks.engines.torch import Torch
from sonorant.networks.signature import Array, Feeds
from sonorant.prepare.profile.ort_trace import Operator, Run
from sonorant.prepare.profile.work import Work

_ONE_AT_A_TIME = threading.Lock()
"""torch has one profiler a process"""


class WatchedTorch(Torch):
    """A Torch engine that notes what each run did, until it is told to end."""

    runs: list[Run] | None = None
    """None: nothing is noted"""

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Any:
        call = super().prepare(feeds, large=large)
        return _Profiled(self, call) if self.runs is not None else call

    def begin(self) -> None:
        self.runs = []

    def end(self) -> list[Run]:
        """What was noted."""
        runs, self.runs = self.runs or [], None
        return runs


class _Profiled:
    def __init__(self, engine: WatchedTorch, call: Any) -> None:
        self._engine, self._call = engine, call

    def __call__(self) -> dict[str, Array]:
        import torch

        with _ONE_AT_A_TIME:
            with torch.profiler.profile(record_shapes=True, with_flops=True, profile_memory=True) as profiler:
                began = time.perf_counter()
                outputs: dict[str, Array] = self._call()
                ended = time.perf_counter()
            run = Run(began, ended - began, threading.get_native_id())
            _fill(run, profiler.events())
        if self._engine.runs is not None:
            self._engine.runs.append(run)
        return outputs

    def stop(self) -> None:
        self._call.stop()


def _fill(run: Run, events: Any) -> None:
    """The outermost and inner operators of a run: `alone` is the time outside those inside it.

    torch counts from when its profiler began; the first event is laid at the beginning of the run.
    """
    called = sorted((e for e in events if e.name.startswith("aten::")), key=lambda e: e.time_range.start)
    first = called[0].time_range.start if called else 0.0
    for event in called:
        began = run.began + (event.time_range.start - first) / 1e6
        seconds = max(0.0, min(event.time_range.elapsed_us() / 1e6, run.ended - began))
        alone = min(seconds, event.self_cpu_time_total / 1e6)
        shapes = [shape for shape in event.input_shapes or () if shape and isinstance(shape[0], int)]
        moved = 4 * sum(prod(shape) for shape in shapes)  # float32; torch does not tell of its outputs
        flops = int(event.flops) if event.flops else 0
        work = Work(flops, moved if alone and not event.cpu_children else 0)
        run.operators.append(
            Operator(event.name, event.name, began, seconds, alone, work, 0, tuple(map(tuple, shapes[:1])))
        )
