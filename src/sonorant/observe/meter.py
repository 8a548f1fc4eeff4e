"""Measures pieces of work on a device: how long they wait, how long they run, how they end."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import TypeVar

from sonorant.errors import RequestError
from sonorant.observe import tracing
from sonorant.observe.figures import Figures

T = TypeVar("T")

_EXHAUSTED = ("out of memory", "failed to allocate", "bad_alloc", "cannot allocate memory")
"""what engines and drivers say when memory is short (torch, ONNX Runtime's arena, C++, the system)"""


class Meter:
    """Of one stage: a network, or other work on a slot."""

    def __init__(self, figures: Figures, stage: str) -> None:
        self.figures, self.stage = figures, stage

    def timed(self, work: Callable[[], T], *, rows: int = 0) -> Callable[[], T]:
        """`work` for a thread of the device: measured from now on, with the request's context around it."""
        asked, since = perf_counter(), tracing.now()

        def measured() -> T:
            self.waited(perf_counter() - asked)
            tracing.record("queue", since, stage=self.stage)
            return self.run(work, rows=rows)

        return partial(copy_context().run, measured)

    def waited(self, seconds: float) -> None:
        """A piece of work got its slot."""
        self.figures.observe("queue_seconds", seconds, stage=self.stage)

    def run(self, work: Callable[[], T], *, rows: int = 0, padding: float = 0.0) -> T:
        """Do `work` here and now.

        `rows` requests share a run of a network; 0 = it is other work. `padding` is the share of frames that
        belong to none of them.
        """
        began, outcome = perf_counter(), "failed"
        try:
            with tracing.span("run", stage=self.stage, rows=rows):
                result = work()
            outcome = "ok"
            return result
        except Exception as error:
            if out_of_memory(error):
                self.figures.count("out_of_memory")
            raise
        finally:
            self.figures.observe("run_seconds", perf_counter() - began, stage=self.stage)
            self.figures.count("runs", stage=self.stage, outcome=outcome)
            if rows:
                self.figures.observe("batch_rows", rows, stage=self.stage)
            if rows > 1:
                self.figures.observe("padding_ratio", padding, stage=self.stage)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that memory was short."""
    told: BaseException | None = error
    while told is not None and not isinstance(told, RequestError):  # whose words may be the user's
        if isinstance(told, MemoryError) or any(words in str(told).lower() for words in _EXHAUSTED):
            return True
        told = told.__cause__
    return False
