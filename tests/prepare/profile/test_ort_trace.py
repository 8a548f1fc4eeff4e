"""Reading ONNX Runtime's profiles."""

import json
from pathlib import Path
from typing import Any

import pytest

from sonorant.errors import EngineError
from sonorant.prepare.profile import ort_trace


def kernel(name: str, op: str, ts: int, dur: int, tid: int = 7) -> dict[str, Any]:
    shapes = [{"float": [2, 3]}]
    args = {
        "op_name": op,
        "input_type_shape": shapes,
        "output_type_shape": shapes,
        "mem_in_use_peak": str(ts),
    }
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "tid": tid, "args": args}


def run(ts: int, dur: int, tid: int = 7) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "tid": tid, "args": {}}


def written(folder: Path, *events: dict[str, Any]) -> Path:
    path = folder / "profile.json"
    path.write_text(json.dumps(events))
    return path


def test_each_operator_belongs_to_the_run_around_it(tmp_path: Path) -> None:
    path = written(
        tmp_path, kernel("a", "Add", 11, 4), run(10, 8), kernel("a", "Add", 31, 5), kernel("b", "Mul", 37, 2), run(30, 12)
    )  # fmt: skip
    first, second = ort_trace.read(path, 100.0, {})
    assert [o.kind for o in first.operators] == ["Add"]
    assert [o.kind for o in second.operators] == ["Add", "Mul"]
    assert (first.began, first.seconds) == (pytest.approx(100 + 10e-6), pytest.approx(8e-6))
    assert second.peak == 37


def test_runs_side_by_side_are_told_apart_by_their_threads(tmp_path: Path) -> None:
    path = written(
        tmp_path, run(10, 30, 1), run(12, 30, 2), kernel("a", "Add", 15, 4, 1), kernel("b", "Mul", 16, 4, 2)
    )
    one, two = ort_trace.read(path, 0.0, {})
    assert ([o.kind for o in one.operators], [o.kind for o in two.operators]) == (["Add"], ["Mul"])


def test_time_inside_a_branch_is_the_branch_s_own(tmp_path: Path) -> None:
    """An If holds its branch's operators: their time is not counted twice."""
    path = written(
        tmp_path, run(0, 110), kernel("if", "If", 5, 100), kernel("a", "Add", 10, 30), kernel("b", "Mul", 40, 50)
    )  # fmt: skip
    (only,) = ort_trace.read(path, 0.0, {})
    assert {o.kind: round(o.alone * 1e6) for o in only.operators} == {"If": 20, "Add": 30, "Mul": 50}
    assert sum(o.alone for o in only.operators) <= only.seconds


def test_a_profile_that_broke_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text("[{")
    with pytest.raises(EngineError, match="cannot be read"):
        ort_trace.read(path, 0.0, {})
