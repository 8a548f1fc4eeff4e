"""What is measured inside replicas, declared once: the registry, the metrics and the documentation follow.

Free of dependencies: a replica measures without knowing Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """A kind of figure."""

    name: str
    """in Prometheus `sonorant_NAME`; counters get `_total` there"""
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    """beside the model's; their values come from our own code, never from a request"""
    bounds: tuple[float, ...] = ()
    """a histogram's upper bounds"""
    owner: str = "model"
    """the label that says whose figure it is: a model's, or a process'"""

    @property
    def metric(self) -> str:
        """The name under which it is exported."""
        return f"sonorant_{self.name}" + ("_total" if self.kind == "counter" else "")


_ALL = (
    Measure("queue_seconds", "histogram", "Waiting of one piece of work for a slot", ("stage",), SECONDS),
    Measure(
        "run_seconds", "histogram", "One run of a network or of other work on a slot", ("stage",), SECONDS
    ),
    Measure("runs", "counter", "Ended runs: ok or failed (stopped ones, too)", ("stage", "outcome")),
    Measure("batch_rows", "histogram", "Requests that one run of a network computed", ("stage",), ROWS),
    Measure(
        "padding_ratio",
        "histogram",
        "Padding / all frames of a run that computed several",
        ("stage",),
        SHARES,
    ),
    Measure("predicted_underruns", "counter", "Chunks that the device could not finish before they were due"),
    Measure("out_of_memory", "counter", "Runs that failed, and processes that ended, for want of memory"),
    Measure(
        "fallbacks",
        "counter",
        "Networks that run on another provider than was asked for, or, for a reason that is named, on the "
        "publisher's file in place of a prepared one",
        ("provider", "reason"),
    ),
    Measure("fetch_seconds", "gauge", "The last fetching and checking of the model's files"),
    Measure("load_seconds", "gauge", "The last loading, warm-up included, fetching excluded"),
    Measure("restarts", "counter", "Processes of the model that were started anew"),
    Measure("cpu_seconds", "counter", "Processor time of the process", owner="process"),
    Measure("resident_bytes", "gauge", "Memory of the process", owner="process"),
    Measure("threads", "gauge", "Threads of the process", owner="process"),
    Measure("open_files", "gauge", "Open file descriptors of the process", owner="process"),
)


def by_name(measures: Iterable[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


MEASURES = by_name(_ALL)
