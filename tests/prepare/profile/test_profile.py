"""A tiny network, watched from end to end: the figures add up and are those computed by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sonorant.cli import app
from sonorant.errors import EngineError, ModelFileError, RequestError
from sonorant.networks.onnx_file import Graph
from sonorant.networks.signature import Axis, Tensor
from sonorant.prepare.profile.session import Asked, profile
from sonorant.prepare.profile.tally import Report
from sonorant.settings import Settings

FRAMES, RUNS = 400, 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [1, 16, frames] → Conv (32 channels, 3 taps) → Relu → Conv (8 channels) → audio."""
    random, graph = np.random.default_rng(0), Graph()

    def weight(*shape: int) -> str:
        return graph.constant(random.normal(0, 0.1, shape).astype(np.float32))

    x = graph.op("Conv", "x", weight(32, 16, 3))
    x = graph.op("Relu", x)
    graph.op("Conv", x, weight(8, 32, 3), name="y")
    data = graph.file(
        [Tensor("x", "float32", (1, 16, Axis("frames")))], [Tensor("y", "float32", (1, 8, Axis("samples")))]
    )
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def found(model: Path) -> tuple[Report, dict[str, Any]]:
    return profile(Asked(str(model), runs=RUNS, sizes={"frames": FRAMES}), Settings())


def test_operators_take_no_longer_than_their_network_and_that_no_longer_than_its_stage(
    found: tuple[Report, dict[str, Any]],
) -> None:
    report, _ = found
    (stage,), (network,) = report.stages, report.networks
    operators = sum(kind.seconds for kind in report.kinds)
    assert 0 < operators <= network.seconds <= stage.seconds <= report.busy * (1 + 1e-9)
    assert network.operators == pytest.approx(operators)
    assert report.outside <= report.plain, "no more of a request than all of it"
    assert 0 < report.plain_busy <= report.plain
    assert stage.share == pytest.approx(1)
    assert sum(kind.share for kind in report.kinds) == pytest.approx(operators / report.busy)


def test_flops_and_weights_are_those_computed_by_hand(found: tuple[Report, dict[str, Any]]) -> None:
    report, _ = found
    (network,) = report.networks
    convs = sum(kind.flops or 0 for kind in report.kinds if "Conv" in kind.op)
    assert convs == 2 * 32 * (FRAMES - 2) * 16 * 3 + 2 * 8 * (FRAMES - 4) * 32 * 3
    assert network.parameters == 4 * (32 * 16 * 3 + 8 * 32 * 3)
    assert (network.arena_peak or 0) >= 4 * 32 * (FRAMES - 2)


def test_nodes_before_and_kernels_after_fusion(found: tuple[Report, dict[str, Any]]) -> None:
    """The Relu is computed by the convolution before it."""
    report, _ = found
    (network,) = report.networks
    assert network.nodes == 3
    assert "Relu" not in {kind.op for kind in report.kinds}
    assert network.launched == network.kernels
    assert (report.requests, network.runs) == (RUNS, 1)


def test_the_trace_nests_operators_in_networks_in_stages(found: tuple[Report, dict[str, Any]]) -> None:
    _, trace = found
    events = [event for event in json.loads(json.dumps(trace))["traceEvents"] if event["ph"] == "X"]
    assert all({"name", "ts", "dur", "pid", "tid"} <= event.keys() for event in events)

    def inside(inner: str, outer: str) -> None:
        outers = [e for e in events if e["cat"] == outer]
        inners = [e for e in events if e["cat"] == inner]
        assert inners
        for e in inners:
            assert any(
                o["ts"] - 0.01 <= e["ts"] and e["ts"] + e["dur"] <= o["ts"] + o["dur"] + 0.01
                for o in outers
                if o["tid"] == e["tid"] or outer == "request"
            ), e

    inside("operator", "network")
    inside("network", "stage")
    inside("stage", "request")
    assert sum(e["cat"] == "request" for e in events) == RUNS


def test_an_axis_that_is_not_there_is_named(model: Path) -> None:
    with pytest.raises(RequestError, match="Its axes: frames"):
        profile(Asked(str(model), sizes={"samples": 3}), Settings())


def test_feeds_that_do_not_fit_are_told(model: Path) -> None:
    with pytest.raises(EngineError, match="--size"):
        profile(Asked(str(model), sizes={"frames": 1}), Settings())  # shorter than the taps


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="There is no file"):
        profile(Asked(str(tmp_path / "none.onnx")), Settings())


def test_sizes_that_no_memory_holds_are_told(model: Path) -> None:
    with pytest.raises(RequestError, match="do not fit into memory"):
        profile(Asked(str(model), sizes={"frames": 10**12}), Settings())


@pytest.mark.parametrize("kept", [0, 40])
def test_a_damaged_file_of_the_users_own_is_for_the_doctor(model: Path, tmp_path: Path, kept: int) -> None:
    """No catalogue has it: it cannot be pulled again."""
    path = tmp_path / "cut.onnx"
    path.write_bytes(model.read_bytes()[:kept])
    with pytest.raises(ModelFileError) as told:
        profile(Asked(str(path)), Settings())
    assert f"sonorant doctor {path}" in told.value.remedy
    assert "pull" not in str(told.value)


def test_sizes_of_a_model_of_the_catalogue_are_refused() -> None:
    """They follow from the text; the option was ignored."""
    with pytest.raises(RequestError, match="Its axes: phonemes"):
        profile(Asked("hibari", sizes={"phonemes": 3}), Settings())


def test_a_trace_that_cannot_be_written_is_refused_before_anything_is_measured(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr("sonorant.prepare.profile.session.profile", measured)
    told = CliRunner().invoke(app, ["profile", str(model), "--trace", str(tmp_path / "none" / "t.json")])
    assert isinstance(told.exception, RequestError)


def test_a_voice_is_told_apart_by_stages_networks_and_operators(tmp_path: Path) -> None:
    """hibari: phonemes and signal processing beside its network, by the command."""
    trace = tmp_path / "trace.json"
    told = CliRunner().invoke(app, ["profile", "hibari", "--runs", "1", "--json", "--trace", str(trace)])
    assert told.exit_code == 0, told.output
    report = json.loads(told.stdout)
    stages = {stage["name"]: stage for stage in report["stages"]}
    (network,) = report["networks"]
    assert stages[network["name"]]["network"]
    assert "work: Hibari.pieces" in stages
    assert "encoding" in stages
    assert network["operators"] <= network["seconds"] <= stages[network["name"]]["seconds"]
    assert 0 < network["kernels"] < network["nodes"]
    assert report["audio"] > 2
    assert report["advice"]
    assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1)
    names = {e["name"] for e in json.loads(trace.read_text())["traceEvents"] if e.get("cat") == "stage"}
    assert names == stages.keys()


def test_the_command_shows_tables_and_what_to_do(model: Path) -> None:
    told = CliRunner().invoke(app, ["profile", str(model), "--runs", "1", "--size", "frames=200"])
    assert told.exit_code == 0, told.output
    assert "GFLOP/s" in told.stdout
    assert "→" in told.stdout
    wrong = CliRunner().invoke(app, ["profile", str(model), "--size", "frames"])
    assert isinstance(wrong.exception, RequestError)
