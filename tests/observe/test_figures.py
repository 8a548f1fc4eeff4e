"""The registry inside a replica, and the sum of what processes counted over their lives."""

import json
import pickle
import threading
from dataclasses import asdict

import pytest

from sonorant.observe.figures import LIMIT, REMEMBERED, Figures, Ledger
from sonorant.tasks import Figure, Snapshot


def found(figures: tuple[Figure, ...], name: str, *labels: str) -> Figure | None:
    return next((f for f in figures if f.name == name and f.labels == labels), None)


def counted(ledger: Ledger, name: str, *labels: str) -> float:
    figure = found(ledger.total(), name, *labels)
    return figure.value if figure else 0.0


def test_counters_gauges_and_histograms():
    figures = Figures()
    figures.count("runs", stage="decoder", outcome="ok")
    figures.count("runs", 2, outcome="ok", stage="decoder")
    figures.set("load_seconds", 3.0)
    figures.set("load_seconds", 1.5)
    for seconds in (0.001, 0.0011, 1000.0):
        figures.observe("run_seconds", seconds, stage="decoder")
    rows = figures.snapshot().figures
    assert found(rows, "runs", "decoder", "ok").value == 3
    assert found(rows, "load_seconds").value == 1.5
    run = found(rows, "run_seconds", "decoder")
    assert run.value == pytest.approx(1000.0021)
    assert (run.buckets[0], run.buckets[1], run.buckets[-1], sum(run.buckets)) == (1, 1, 1, 3)  # le = 0.001 …


def test_names_and_labels_that_are_not_declared_are_refused():
    for wrong in ({"name": "no_such"}, {"name": "runs", "stage": "a"},
                  {"name": "runs", "stage": "a", "outcome": "ok", "text": "secret"}):  # fmt: skip
        with pytest.raises(KeyError):
            Figures().count(**wrong)


def test_labels_are_bounded():
    figures = Figures()
    for i in range(3 * LIMIT):
        figures.count("runs", stage=f"s{i}", outcome="ok")
    rows = figures.snapshot().figures
    assert len(rows) == LIMIT + 1
    assert found(rows, "runs", "other", "other").value == 2 * LIMIT
    assert sum(row.value for row in rows) == 3 * LIMIT


def test_no_count_is_lost_between_threads():
    figures = Figures()

    def work() -> None:
        for _ in range(5000):
            figures.count("out_of_memory")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.snapshot().figures[0].value == 20_000


def test_a_snapshot_survives_a_message():
    figures = Figures()
    figures.observe("run_seconds", 0.3, stage="decoder")
    snapshot = figures.snapshot()
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot
    told = json.loads(json.dumps(asdict(snapshot)))
    rows = (Figure(r["name"], tuple(r["labels"]), r["value"], tuple(r["buckets"])) for r in told["figures"])
    assert Snapshot(told["source"], tuple(rows)) == snapshot


def test_counters_go_on_across_restarts_and_gauges_do_not():
    ledger = Ledger()
    for process, runs in enumerate((5, 3, 4)):
        figures = Figures()
        figures.count("runs", runs, stage="decoder", outcome="ok")
        figures.observe("run_seconds", 0.2, stage="decoder")
        figures.set("load_seconds", 1.0 + process)
        ledger.take([figures.snapshot()])
        ledger.take([figures.snapshot()])  # the same again counts once
    assert counted(ledger, "runs", "decoder", "ok") == 12
    assert sum(found(ledger.total(), "run_seconds", "decoder").buckets) == 3
    assert counted(ledger, "load_seconds") == 3.0
    ledger.take([])  # between two processes
    assert counted(ledger, "runs", "decoder", "ok") == 12
    assert found(ledger.total(), "load_seconds") is None


def test_processes_side_by_side_are_added():
    ledger, both = Ledger(), [Figures(), Figures()]
    for figures in both:
        figures.count("out_of_memory", 2)
    ledger.take([figures.snapshot() for figures in both])
    assert counted(ledger, "out_of_memory") == 4


def test_a_registry_that_was_silent_is_not_counted_twice():
    ledger, figures = Ledger(), Figures()
    figures.count("out_of_memory")
    for snapshots in ([figures.snapshot()], [], [figures.snapshot()]):
        ledger.take(snapshots)
    assert counted(ledger, "out_of_memory") == 1


def test_a_model_that_crashes_for_ever_takes_bounded_memory():
    ledger = Ledger()
    for _ in range(5 * REMEMBERED):
        figures = Figures()
        figures.count("out_of_memory")
        ledger.take([figures.snapshot()])
    assert counted(ledger, "out_of_memory") == 5 * REMEMBERED
    assert len(ledger._last) <= REMEMBERED + 1


def test_figures_of_a_newer_process_are_left_out():
    ledger = Ledger()
    ledger.take([Snapshot("new", (Figure("invented_later", (), 1.0),))])
    assert ledger.total() == ()
