"""What networks are remembered by: calls of all that was said, and not too many."""

from pathlib import Path

import numpy as np

from sonorant.prepare import record


def heard(calls: int, size: int = 1) -> record.Heard:
    found = record.Heard(Path("net.onnx"), (), {})
    for n in range(calls):
        found.remember({"mel": np.full(size, n, np.float32)})
    return found


def told(found: record.Heard) -> list[int]:
    return [int(feeds["mel"][0]) for feeds in found.feeds]


def test_calls_are_remembered_evenly_from_the_first_to_the_last():
    assert told(heard(record.CALLS)) == list(range(record.CALLS))
    assert told(heard(4 * record.CALLS)) == list(range(0, 4 * record.CALLS, 4))


def test_large_calls_are_fewer(monkeypatch):
    monkeypatch.setattr(record, "BYTES", 1000)
    few = told(heard(32, size=50))
    assert len(few) * 50 * 4 <= 1000
    assert (few[0], few[-1]) == (0, 24)


def test_what_was_run_while_loading_is_forgotten():
    found = heard(100)
    found.forget()
    found.remember({"mel": np.ones(1)})
    assert told(found) == [1]
