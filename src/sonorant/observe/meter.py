"""Measures pieces of work on a device: how long they wait, how long they run, how they end."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar

from sonorant.errors import RequestError
from sonorant.observe import tracing
from sonorant.observe.figures import Figures

T = TypeVar("T")

_EXHAUSTED = (
    "out of memory",
    "failed to allocate",
    "smaller than requested bytes",  # an arena with a limit
    "bad_alloc",
    "cannot allocate memory",
)
"""what engines and drivers say when memory is short (torch, ONNX Runtime's arena, C++, the system)"""


class Meter:
    """Of one stage: a network, or other work on a slot."""

    def __init__(self, figures: Figures, stage: str) -> None:
        self.figures, self.stage = figures, stage

    def asked(self) -> Asked:
        """A piece of work wants a slot, from now on."""
        return Asked(self, perf_counter(), tracing.now(), copy_context())

    def timed(self, work: Callable[[], T], *, rows: int = 0) -> Callable[[], T]:
        """`work` for a thread of the device: measured from now on, with the request's context around it."""
        asked = self.asked()

        def measured() -> T:
            asked.begins()
            return asked.run(work, rows=rows)

        return measured

    def run(self, work: Callable[[], T], *, rows: int = 0, padding: float = 0.0) -> T:
        """Do `work` here and now.

        `rows` requests share a run of a network; 0 = it is other work. `padding` is the share of frames that
        belong to none of them.
        """
        began, outcome = perf_counter(), "failed"
        try:
            with tracing.span("run", stage=self.stage, rows=rows), self.figures.around(self.stage, work):
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


@dataclass(frozen=True, slots=True)
class Asked:
    """A piece of work that waits for a slot, and the request that it is for."""

    meter: Meter
    at: float
    since: int
    """nanoseconds; 0 = it is not traced"""
    context: Context

    def begins(self) -> None:
        """It has its slot. Of several that run together each begins."""
        self.meter.figures.observe("queue_seconds", perf_counter() - self.at, stage=self.meter.stage)
        self.context.run(tracing.record, "queue", self.since, stage=self.meter.stage)

    def run(self, work: Callable[[], T], *, rows: int = 0, padding: float = 0.0) -> T:
        """As `Meter.run`, in the context of its request; what runs together does so in that of the first."""
        return self.context.run(partial(self.meter.run, work, rows=rows, padding=padding))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that memory was short."""
    told: BaseException | None = error
    while told is not None and not isinstance(told, RequestError):  # whose words may be the user's
        if isinstance(told, MemoryError) or any(words in str(told).lower() for words in _EXHAUSTED):
            return True
        told = told.__cause__
    return False
