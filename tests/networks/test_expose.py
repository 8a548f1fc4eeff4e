"""A tensor inside a graph becomes an output, and nothing else changes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sonorant.networks.engines.expose import expose
from sonorant.networks.engines.onnxruntime import OnnxRuntime


@pytest.fixture
def path(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "x"], ["/in side_0"]), helper.make_node("Neg", ["/in side_0"], ["y"])],
        "g" * 300,  # longer than one byte of a varint tells
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_the_tensor_is_an_output(path):
    engine = OnnxRuntime(path, exposed=("/in side_0",))
    assert [tensor.name for tensor in engine.outputs] == ["y", "/in side_0"]
    found = engine.prepare({"x": np.array([2, -3], np.float32)})()
    np.testing.assert_array_equal(found["/in side_0"], [4, 9])
    np.testing.assert_array_equal(found["y"], [-4, -9])


def test_onnx_itself_reads_the_same_model_with_one_more_output(path):
    merged = onnx.load_model_from_string(expose(path.read_bytes(), ["/in side_0"]))
    original = onnx.load(path)
    assert [o.name for o in merged.graph.output] == ["y", "/in side_0"]
    del merged.graph.output[1:]
    assert merged == original


def test_a_tensor_that_the_graph_lacks_is_left_out(path):
    assert [tensor.name for tensor in OnnxRuntime(path, exposed=("other",)).outputs] == ["y"]
