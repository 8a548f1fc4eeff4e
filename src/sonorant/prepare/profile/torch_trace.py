"""torch's profiler around each run of a torch engine: the operators that it called."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

from sonorant.networks.engines.torch import Torch
from sonorant.networks.signature import Array, Feeds
from sonorant.prepare.profile.graph import File
from sonorant.prepare.profile.ort_trace import Operator, Run
from sonorant.prepare.profile.torch_work import works

_ONE_AT_A_TIME = threading.Lock()
"""torch has one profiler a process"""
_QUIET = ("KINETO_LOG_LEVEL", "99")
"""of the library beneath the profiler, which else writes notes of its own to standard error"""
_OPERATOR = re.compile(r"\w+::\w+")


class WatchedTorch(Torch):
    """A Torch engine that notes what each run did, until it is told to end."""

    noted: list[tuple[Run, Any]] | None = None
    """runs, each with its profiler; None: nothing is noted"""

    @property
    def file(self) -> File:
        """What the module holds; it has no nodes."""
        held = [*self._module.parameters(), *self._module.buffers()]
        return File(0, sum(tensor.numel() * tensor.element_size() for tensor in held))

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Any:
        call = super().prepare(feeds, large=large)
        return _Profiled(self, call) if self.noted is not None else call

    def begin(self) -> None:
        _set_up()
        self.noted = []

    def end(self) -> list[Run]:
        """What was noted. Only now are the profilers' events read, which takes longer than the runs did."""
        noted, self.noted = self.noted or [], None
        for run, profiler in noted:
            _fill(run, profiler.events())
        return [run for run, _ in noted]


@cache
def _set_up() -> None:
    """The profiler's first start takes a second or two, which is no run's.

    In a thread that did not import torch it prints an error that is none, whatever its level of logging
    (libkineto_api.cpp, initClientIfRegistered): nobody hears standard error meanwhile.
    """
    import torch

    os.environ.setdefault(*_QUIET)
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with torch.profiler.profile():
            pass
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Profiled:
    def __init__(self, engine: WatchedTorch, call: Any) -> None:
        self._engine, self._call = engine, call

    def __call__(self) -> dict[str, Array]:
        import torch

        with _ONE_AT_A_TIME:
            with torch.profiler.profile(record_shapes=True, profile_memory=True) as profiler:
                began = time.perf_counter()
                outputs: dict[str, Array] = self._call()
                ended = time.perf_counter()
            run = Run(began, ended - began, threading.get_native_id())
        if self._engine.noted is not None:
            self._engine.noted.append((run, profiler))
        return outputs

    def stop(self) -> None:
        self._call.stop()


def _fill(run: Run, events: Iterable[Any]) -> None:
    """The outermost and inner operators of a run: `alone` is the time outside those inside it.

    torch counts from when its profiler began; the first event is laid at the beginning of the run. It does
    not tell of outputs.
    """
    called = sorted((e for e in events if _OPERATOR.match(e.name)), key=lambda e: e.time_range.start)
    first = called[0].time_range.start if called else 0.0
    work = works(called)
    for event in called:
        began = run.began + (event.time_range.start - first) / 1e6
        seconds = max(0.0, min(event.time_range.elapsed_us() / 1e6, run.ended - began))
        alone = min(seconds, event.self_cpu_time_total / 1e6)
        run.operators.append(Operator(event.name, event.name, began, seconds, alone, work[event.id], 0, ()))
