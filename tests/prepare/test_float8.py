"""Layers in float8, which TensorRT computes in."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sonorant.errors import RequestError, UnsupportedError
from sonorant.networks.prepared import precision_of
from sonorant.prepare.convert import tensorrt
from sonorant.prepare.passes.float8 import float8
from sonorant.prepare.passes.kind import Material, copied, named
from sonorant.prepare.recipes import way

SIZES = {"shapes": {"x": [[1, 16, 4], [1, 16, 40], [4, 16, 100]]}, "values": {}}


@pytest.fixture
def network():
    """A convolution, a matrix, a Gemm, and a product of activations."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "conv", "bias"], ["a"], pads=[1, 1]),
        helper.make_node("Transpose", ["a"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "matrix"], ["m"]),
        helper.make_node("Transpose", ["m"], ["mt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["mt", "m"], ["s"]),
        helper.make_node("ReduceMean", ["s"], ["r"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["r", "gemm"], ["y"], transB=1),
    ]
    shapes = {"conv": (32, 16, 3), "bias": (32,), "matrix": (32, 24), "gemm": (8, 24)}
    weights = []
    for name, shape in shapes.items():
        value = rng.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:  # channels as unlike as those of a network, which one scale would lose
            axis = 1 if name == "matrix" else 0
            value *= np.geomspace(1e-6, 1, shape[axis], dtype=np.float32).reshape(
                [-1 if i == axis else 1 for i in range(len(shape))]
            )
        weights.append(numpy_helper.from_array(value, name))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16, "t"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return named(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


@pytest.fixture
def feeds():
    return {"x": np.random.default_rng(1).standard_normal((1, 16, 40)).astype(np.float32)}


def run(model, feeds):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(model.SerializeToString(), options).run(None, feeds)[0]


def test_each_channel_keeps_its_own_scale(network, feeds):
    made = float8(copied(network), Material([feeds]))
    onnx.checker.check_model(made)
    weights = {weight.name: numpy_helper.to_array(weight) for weight in network.graph.initializer}
    rounded = {weight.name: numpy_helper.to_array(weight) for weight in made.graph.initializer}
    for name, axis in (("conv", 0), ("matrix", 1), ("gemm", 0)):
        value = np.moveaxis(weights[name], axis, 0).reshape(weights[name].shape[axis], -1)
        low = np.moveaxis(rounded[f"{name}.{axis}.float8"].astype(np.float32), axis, 0).reshape(value.shape)
        back = low * rounded[f"{name}.{axis}.scale"][:, None]
        # 3 bits of mantissa, and below the normal numbers steps of 2^-9 of 448
        allowed = np.maximum(np.abs(value) * 2**-4, np.abs(value).max(1, keepdims=True) * 2**-10 / 448)
        assert (np.abs(back - value) <= allowed * 1.001).all()
    expected, found = run(network, feeds), run(made, feeds)
    assert 10 * np.log10(np.square(expected).sum() / np.square(expected - found).sum()) > 20
    types = {weight.name: weight.data_type for weight in made.graph.initializer}
    assert not {"conv", "matrix", "gemm"} & types.keys()
    assert types["bias"] == TensorProto.FLOAT


def test_nodes_that_are_kept_stay(network, feeds):
    every = frozenset(node.name for node in network.graph.node)
    made = float8(copied(network), Material([feeds], every))
    assert np.array_equal(run(made, feeds), run(network, feeds))


def test_it_needs_real_ranges(network):
    with pytest.raises(RequestError, match="real speech only"):
        float8(network, Material())


def test_it_is_for_tensorrt_only():
    assert way("slim+float8+tensorrt").precision == precision_of(way("float8+tensorrt").id) == "float8"
    for text in ("float8", "float8+openvino", "slim+float8"):
        with pytest.raises(RequestError, match=r"float8 is for tensorrt only.*\+tensorrt"):
            way(text)


def test_a_gpu_without_it_is_refused_with_the_reason():
    tensorrt.refuse_float8((8, 9))
    tensorrt.refuse_float8(None)
    with pytest.raises(UnsupportedError, match=r"compute capability is 8\.6.*Ada, Hopper"):
        tensorrt.refuse_float8((8, 6))


@pytest.mark.heavy  # needs tensorrt-rtx
@pytest.mark.parametrize("capability", [[8, 9], [9, 0], [10, 0], [12, 0]])
def test_tensorrt_builds_it(network, feeds, tmp_path, capability):
    path = tmp_path / "float8.onnx"
    onnx.save(float8(network, Material([feeds])), path)
    built = tensorrt.build(
        str(path), str(tmp_path / "plan"), SIZES, 0, 1 << 28, "", "tensorrt-rtx", capability
    )
    assert built["layers"] > 10
    assert (tmp_path / "plan").stat().st_size > 1000
    with pytest.raises(UnsupportedError, match=r"no FP8"):
        tensorrt.build(str(path), str(tmp_path / "p"), SIZES, 0, 1 << 28, "", "tensorrt-rtx", [8, 6])
