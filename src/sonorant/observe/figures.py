"""A tiny registry of figures, and the sum of what several such registries say over their lives."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from uuid import uuid4

from sonorant.observe.measures import MEASURES, Measure
from sonorant.tasks import Figure, Snapshot

LIMIT = 100
"""sets of labels that one measure may have; further ones are counted together, as "other" """
REMEMBERED = 64
"""registries whose last snapshot is kept apart, in case they are only silent"""

Key = tuple[str, tuple[str, ...]]


@dataclass(slots=True)
class _Cell:
    value: float = 0.0
    buckets: list[int] = field(default_factory=list)


class Figures:
    """Counters, gauges and histograms of one process or one model. Safe from any thread.

    A name that `measures` does not declare, or a label that its measure does not have, is a KeyError.
    """

    def __init__(self, measures: Mapping[str, Measure] = MEASURES) -> None:
        self._measures = measures
        self.around: Callable[[str, Callable[[], object]], AbstractContextManager[None]] = _nothing
        """is entered around each piece of work on the device, given its stage: where a profiler listens"""
        self._source = f"{os.getpid()}-{uuid4().hex[:12]}"
        self._cells: dict[Key, _Cell] = {}
        self._sets: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._cell(name, labels).value += amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._cell(name, labels).value = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        with self._lock:
            cell = self._cell(name, labels)
            cell.value += value
            cell.buckets[bisect_left(self._measures[name].bounds, value)] += 1

    def snapshot(self) -> Snapshot:
        """Everything measured so far."""
        with self._lock:
            figures = tuple(
                Figure(name, labels, cell.value, tuple(cell.buckets))
                for (name, labels), cell in self._cells.items()
            )
        return Snapshot(self._source, figures)

    def _cell(self, name: str, labels: dict[str, str]) -> _Cell:
        measure = self._measures[name]
        key = name, tuple([labels[label] for label in measure.labels])
        cell = self._cells.get(key)
        if cell is None:
            if labels.keys() != set(measure.labels):
                raise KeyError(f"{name} has the labels {measure.labels}, not {tuple(labels)}")
            if self._sets.get(name, 0) >= LIMIT:
                key = name, ("other",) * len(measure.labels)
            else:
                self._sets[name] = self._sets.get(name, 0) + 1
            buckets = [0] * (len(measure.bounds) + 1) if measure.kind == "histogram" else []
            cell = self._cells.setdefault(key, _Cell(0.0, buckets))
        return cell


def _nothing(stage: str, work: Callable[[], object]) -> AbstractContextManager[None]:
    return nullcontext()


class Ledger:
    """What several registries have counted together, the dead ones included: counters never go down.

    Gauges are those of the registries that were there the last time.
    """

    def __init__(self, measures: Mapping[str, Measure] = MEASURES) -> None:
        self._measures = measures
        self._last: dict[str, Snapshot] = {}
        self._live: set[str] = set()
        self._folded: dict[Key, _Cell] = {}

    def take(self, snapshots: Iterable[Snapshot]) -> None:
        """The latest of every registry that lives; one that is missing here has ended."""
        new = {snapshot.source: snapshot for snapshot in snapshots}
        self._live = set(new)
        self._last = {source: old for source, old in self._last.items() if source not in new} | new
        for source in [s for s in self._last if s not in new][:-REMEMBERED]:
            for figure in self._last.pop(source).figures:
                self._add(self._folded, figure, lives=False)

    def total(self) -> tuple[Figure, ...]:
        """The sums. Figures that no measure declares, of a newer process perhaps, are left out."""
        sums = {key: _Cell(cell.value, list(cell.buckets)) for key, cell in self._folded.items()}
        for source, snapshot in self._last.items():
            for figure in snapshot.figures:
                self._add(sums, figure, lives=source in self._live)
        return tuple(
            Figure(name, labels, cell.value, tuple(cell.buckets)) for (name, labels), cell in sums.items()
        )

    def _add(self, sums: dict[Key, _Cell], figure: Figure, *, lives: bool) -> None:
        measure = self._measures.get(figure.name)
        if measure is None or (measure.kind == "gauge" and not lives):
            return
        cell = sums.setdefault((figure.name, figure.labels), _Cell(0.0, [0] * len(figure.buckets)))
        cell.value += figure.value
        cell.buckets = [a + b for a, b in zip(cell.buckets, figure.buckets, strict=True)]
