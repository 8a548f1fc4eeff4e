"""A graph of OpenVINO in two parts computes what the whole does."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.openvino import FLOAT32, OpenVino
from sonorant.networks.engines.openvino_parts import JOINT, parts

pytestmark = pytest.mark.heavy  # needs openvino, which `make test-systems` installs


@pytest.fixture
def path(tmp_path):
    """x, y → halves of log(x² + 1) joined crosswise and as long as x is, added to what y alone is, and the logs."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"], "square"),
        helper.make_node("Add", ["square", "one"], ["more"], "more"),
        helper.make_node("Log", ["more"], ["log"], "log"),
        helper.make_node("Split", ["log"], ["left", "right"], "split", axis=1),
        helper.make_node("Tanh", ["left"], ["bent"], "bent"),
        helper.make_node("Concat", ["right", "bent"], ["joined"], "joined", axis=1),
        helper.make_node("Shape", ["log"], ["shape"], "shape"),
        helper.make_node("Expand", ["y", "shape"], ["wide"], "wide"),
        helper.make_node("Add", ["joined", "wide"], ["sum"], "sum"),
    ]
    kind, value = TensorProto.FLOAT, helper.make_tensor_value_info
    inputs = [value("x", kind, ["b", 4]), value("y", kind, [1, 1])]
    outputs = [value("sum", kind, ["b", 4]), value("log", kind, ["b", 4])]
    one = helper.make_tensor("one", kind, [1], [1.0])
    graph = helper.make_graph(nodes, "net", inputs, outputs, [one])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def divided(path, first):
    """A file of OpenVINO's that says that these operators are in float32."""
    import json

    import openvino

    graph = openvino.Core().read_model(path)
    graph.set_rt_info(json.dumps(first), FLOAT32)
    openvino.save_model(graph, path.with_suffix(".xml"), compress_to_fp16=False)
    return path.with_suffix(".xml")


@pytest.mark.parametrize(
    "first",
    [
        ["square"],
        ["square", "more", "log"],
        ["square", "more", "log", "split"],
        ["square", "more", "log", "split", "bent", "joined"],
    ],
)
def test_it_gives_what_the_whole_does_in_calls_of_any_length(path, first):
    reference, engine = OnnxRuntime(path), OpenVino(divided(path, first))
    assert [t.name for t in engine.inputs] == ["x", "y"]
    assert [t.name for t in engine.outputs] == ["sum", "log"]
    for rows in (3, 1, 7):
        x = np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32)
        feeds = {"x": x, "y": np.full((1, 1), 2, np.float32)}
        expected, found = reference.prepare(feeds)(), engine.prepare(feeds, large=rows == 7)()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-6)


def test_the_second_part_takes_what_the_first_gives_and_computes_none_of_it_again(path):
    import openvino

    first = ["square", "more", "log", "split"]
    front, rest = parts(openvino.Core().read_model(path), first)
    joints = [p for p in rest.get_parameters() if p.get_friendly_name().startswith(JOINT)]
    assert len(front.outputs) == len(joints) == 3  # the logs, and both halves
    assert not {operator.get_friendly_name() for operator in rest.get_ops()} & set(first)
    assert {operator.get_friendly_name() for operator in front.get_ops()} >= set(first)
