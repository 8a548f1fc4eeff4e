"""Short-time Fourier transforms as convolutions."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sonorant.prepare.convert.stft import plain


def graph(window: int, size: int, onesided: int = 1, known: bool = True, rank: int = 2) -> onnx.ModelProto:
    """An STFT with a step of 5; `size`: 0 = not said."""
    weights = [numpy_helper.from_array(np.array(5), "step")]
    names = ["x", "step", "", ""]
    if window:
        weights.append(numpy_helper.from_array(np.hanning(window).astype(np.float32), "window"))
        names[2] = "window"
    if size:
        weights.append(numpy_helper.from_array(np.array(size), "size"))
        names[3] = "size"
    while not names[-1]:
        names.pop()
    shape = ["rows", "samples", 1][:rank]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if not known:
        inputs.append(helper.make_tensor_value_info("step", TensorProto.INT64, []))
        weights = weights[1:]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "frames", "bins", 2])]
    made = helper.make_graph(
        [helper.make_node("STFT", names, ["y"], onesided=onesided)], "net", inputs, outputs, weights
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def computed(model: onnx.ModelProto, feeds):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)[0]


@pytest.mark.parametrize(
    ("window", "size", "onesided", "rank"),
    [(16, 0, 1, 2), (16, 16, 1, 2), (0, 20, 1, 2), (17, 17, 1, 3), (16, 16, 0, 3)],
)
def test_it_gives_what_the_transform_does(window, size, onesided, rank):
    x = np.random.default_rng(0).standard_normal((3, 101, 1)[:rank]).astype(np.float32)
    expected = computed(graph(window, size, onesided, rank=rank), {"x": x})
    rewritten = plain(graph(window, size, onesided, rank=rank))
    onnx.checker.check_model(rewritten)
    assert "STFT" not in {node.op_type for node in rewritten.graph.node}
    np.testing.assert_allclose(computed(rewritten, {"x": x}), expected, atol=1e-4)


def test_a_step_that_is_not_known_beforehand_stays_as_it_is():
    rewritten = plain(graph(16, 0, known=False))
    assert [node.op_type for node in rewritten.graph.node] == ["STFT"]


def test_the_order_of_nodes_does_not_matter_and_what_leads_nowhere_goes():
    model = graph(16, 0)
    model.graph.node.insert(0, helper.make_node("Neg", ["y"], ["z"]))
    model.graph.node.append(helper.make_node("Neg", ["x"], ["nothing"]))
    model.graph.output[0].name = "z"
    rewritten = plain(model)
    assert [n.op_type for n in rewritten.graph.node] == ["Neg", "Reshape", "Conv", "Reshape", "Transpose"]
