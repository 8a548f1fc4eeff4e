"""Prepared artefacts in use: the fastest that is proven, and its source again where it misbehaves."""

import logging
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sonorant.errors import EngineError, SignatureError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.prepared import ALARMS, SPEED, TRIAL, Choice, PreparedEngine
from sonorant.networks.proof import Comparison, Evidence, Finding, Quality
from sonorant.networks.targets import ONNX_FILE

ENGINE = "onnxruntime 1.2.3 CPUExecutionProvider"
GOOD, BAD = Quality({"MOS": 4.0}), Quality({"MOS": 2.0}, (Finding("MOS", 2.0, 0.05, "MOS"),))


def save(path: Path, *nodes: tuple[str, list[float]]) -> Path:
    """x [n] → y [n], through operators with constants."""
    made, weights, x = [], [], "x"
    for i, (op, constants) in enumerate(nodes):
        names = [f"c{i}.{j}" for j in range(len(constants))]
        weights += [numpy_helper.from_array(np.float32(c), n) for c, n in zip(constants, names, strict=True)]
        y = "y" if i == len(nodes) - 1 else f"t{i}"
        made.append(helper.make_node(op, [x, *names], [y]))
        x = y
    value = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=["n"])
    graph = helper.make_graph(made, "net", [value("x")], [value("y")], weights)
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def evidence(snr: float = 100.0, speed: float = 2.0, quality: Quality | None = None) -> Evidence:
    comparison = Comparison("one", {"y": 0.1}, {"y": snr})
    return Evidence("claim", 0.0, (comparison,), {SPEED: speed}, least_snr=15.0, quality=quality)


@pytest.fixture
def source(tmp_path) -> Path:
    return save(tmp_path / "source.onnx", ("Mul", [2.0]))


@pytest.fixture
def store(tmp_path) -> Artefacts:
    return Artefacts(tmp_path / "home", ENGINE)


def keep(store: Artefacts, source: Path, recipe: str, found: Evidence, *nodes: tuple[str, list[float]]):
    def make(folder: Path) -> Evidence:
        save(folder / ONNX_FILE, *(nodes or [("Mul", [2.0])]))
        return found

    return store.make(source, "prepared", f"prepared-2.{recipe}", make)


def chosen(store: Artefacts, source: Path, precision: str = "auto") -> str:
    found = Choice(store, precision).of(source)
    return found.proof.bindings.recipe if found else ""


def test_the_fastest_that_is_exact_or_of_proven_quality_stands_for_the_file(store, source):
    assert chosen(store, source) == ""
    keep(store, source, "slim", evidence(speed=1.2))
    keep(store, source, "int8", evidence(snr=30.0, speed=3.0))
    assert chosen(store, source) == "prepared-2.slim", "the quality of the other has not been measured"
    judged = keep(store, source, "int8-static", evidence(snr=20.0, speed=2.5, quality=GOOD))
    keep(store, source, "int4", evidence(snr=16.0, speed=4.0, quality=BAD))
    keep(store, source, "float16", evidence(snr=10.0, speed=5.0, quality=GOOD))
    assert chosen(store, source) == "prepared-2.int8-static"
    store.judged(judged, BAD)
    assert chosen(store, source) == "prepared-2.slim"


def test_what_gains_nothing_does_not_stand_for_the_file_unless_asked_for(store, source):
    keep(store, source, "int8", evidence(snr=30.0, speed=0.8, quality=GOOD))
    assert chosen(store, source) == ""
    assert chosen(store, source, "int8") == "prepared-2.int8"


@pytest.mark.parametrize(
    ("precision", "recipe"),
    [
        ("float32", ""),
        ("int8", "prepared-2.slim+int8-static"),
        ("float16", ""),
        ("int4", ""),
        (TRIAL + "prepared-2.float16", "prepared-2.float16"),
    ],
)
def test_a_precision_is_what_it_says(store, source, precision, recipe):
    keep(store, source, "slim", evidence(speed=9.0))
    keep(store, source, "slim+int8-static", evidence(snr=30.0, quality=GOOD))
    keep(store, source, "float16", evidence(snr=45.0))
    assert chosen(store, source, precision) == recipe


def test_an_artefact_of_another_engine_or_source_stands_for_nothing(store, source, tmp_path):
    keep(store, source, "slim", evidence())
    assert chosen(Artefacts(tmp_path / "home", "onnxruntime 2"), source) == ""
    other = save(tmp_path / "other.onnx", ("Mul", [3.0]))
    assert chosen(store, other) == ""


def test_a_damaged_artefact_stands_for_nothing(store, source, caplog):
    artefact = keep(store, source, "slim", evidence())
    (artefact.folder / ONNX_FILE).write_bytes(b"damaged")
    assert chosen(store, source) == ""
    assert "is damaged and is not used; `sonorant prepare MODEL --to slim` makes it again" in caplog.text


def engine(artefact: Artefact, source: Path, fell: list[str]) -> PreparedEngine:
    prepared = OnnxRuntime(artefact.folder / ONNX_FILE)
    return PreparedEngine(artefact, prepared, lambda: OnnxRuntime(source), fell.append)


def run(on: PreparedEngine, *values: float) -> list[float]:
    return on.prepare({"x": np.array(values, np.float32)})()["y"].tolist()


@pytest.mark.parametrize(
    ("nodes", "values", "why"),
    [
        ([("Sqrt", [])], [-1.0, 4.0], "not finite"),
        ([("Div", [0.0])], [1.0, 4.0], "not finite"),
        ([("Mul", [1e-7])], [1.0, 4.0], "silent"),
        ([("Clip", [-0.5, 0.5])], [float(i) for i in range(300)], "clipped"),
    ],
)
def test_what_misbehaves_is_answered_by_its_source_and_given_up(store, source, nodes, values, why, caplog):
    artefact = keep(store, source, "slim", evidence(), *nodes)
    fell: list[str] = []
    on = engine(artefact, source, fell)
    with caplog.at_level(logging.WARNING):
        assert run(on, *values) == [2 * value for value in values]
    assert fell == [why]
    assert "its source takes its place" in caplog.text
    assert run(on, 5.0) == [10.0]
    assert fell == [why], "it is given up once"


def test_what_fails_where_its_source_does_not_is_given_up(store, source, tmp_path):
    artefact = keep(store, source, "slim", evidence())
    value = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=["n"])
    node, shape = (
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
        numpy_helper.from_array(np.array([7]), "shape"),
    )
    graph = helper.make_graph([node], "net", [value("x")], [value("y")], [shape])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=opset), tmp_path / ONNX_FILE)
    fell: list[str] = []
    on = engine(Artefact(tmp_path, artefact.proof), source, fell)
    assert run(on, 1.0, 2.0) == [2.0, 4.0]
    assert fell == ["failed"]


def test_what_an_engine_of_some_sizes_refuses_its_source_computes(store, source, tmp_path, caplog):
    artefact = keep(store, source, "litert", evidence())
    loaded, fell = [], []

    class Bucket(OnnxRuntime):
        def prepare(self, feeds, *, large=False):
            if len(feeds["x"]) > 4:
                raise SignatureError("5 are more than the 4 that the file is for")
            return super().prepare(feeds, large=large)

    def load():
        loaded.append(OnnxRuntime(source))
        return loaded[-1]

    engine = PreparedEngine(artefact, Bucket(artefact.folder / ONNX_FILE), load, fell.append)
    for n in (3, 9, 4, 7):
        values = np.arange(1, n + 1, dtype=np.float32)
        np.testing.assert_array_equal(engine.prepare({"x": values})()["y"], 2 * values)
    assert len(loaded) == 1, "loaded once, and kept"
    assert engine.artefact is artefact
    assert fell == [], "what the artefact is made for it goes on computing"
    assert caplog.text.count("5 are more than the 4") == 1
    with pytest.raises(EngineError):
        engine.prepare({"x": np.zeros((9, 1), np.float32)})()
    engine.close()


def test_what_its_source_computes_alike_is_no_misbehaviour(store, source):
    fell: list[str] = []
    on = engine(keep(store, source, "slim", evidence(), ("Mul", [2.1])), source, fell)
    for _ in range(ALARMS + 2):
        assert run(on, 0.0, 0.0) == [0.0, 0.0]
    assert run(on, 1.0) == [pytest.approx(2.1)]
    assert fell == []


def test_a_call_that_both_refuse_is_an_error_and_nothing_is_given_up(store, source):
    fell: list[str] = []
    on = engine(keep(store, source, "slim", evidence()), source, fell)
    with pytest.raises(EngineError):
        on.prepare({"x": np.zeros((2, 2), np.float32)})()
    assert fell == []
    assert on.artefact is not None
