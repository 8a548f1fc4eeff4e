"""ONNX to OpenVINO, with a small transformer and a small vocoder."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sonorant.doctor.processor import processor
from sonorant.errors import ModelFileError, RequestError
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.openvino import OpenVino
from sonorant.prepare.convert import openvino
from sonorant.prepare.convert.converted import cases, parity

pytestmark = pytest.mark.heavy  # needs openvino and nncf, which `make test-systems` installs


def test_float32_is_proven_at_several_lengths(vocoder, tmp_path):
    path, signature = vocoder
    converted = openvino.convert(path, signature, tmp_path / "ir")
    assert not converted.evidence.fault
    assert len(converted.evidence.comparisons) == 3
    assert converted.path.name == "model.xml"
    assert "f32" in converted.engine
    assert converted.evidence.figures["size, bytes"] > 1000


def test_int8_is_smaller_and_close(transformer, tmp_path):
    path, signature = transformer
    feeds = [signature.example(seed=i, frames=20 + 7 * i) for i in range(10)]
    converted = openvino.convert(path, signature, tmp_path / "ir", calibration=feeds)
    assert not converted.evidence.fault
    assert converted.path.with_suffix(".bin").stat().st_size < 0.5 * path.stat().st_size
    assert any("Quantize" in line for line in converted.path.read_text().splitlines())
    largest = max(max(c.differences.values()) for c in converted.evidence.comparisons)
    assert largest > 0  # it really computes in 8 bits


def test_a_layer_that_is_kept_stays_in_float32_though_openvino_makes_two_operators_of_it(vocoder, tmp_path):
    path, signature = vocoder
    feeds = [signature.example(seed=i) for i in range(3)]
    layers = [n for n in onnx.load(path).graph.node if n.op_type in ("Conv", "ConvTranspose")]
    kept = [layer.name for layer in layers]
    converted = openvino.convert(path, signature, tmp_path / "ir", calibration=feeds, kept=kept)
    assert 'element_type="i8"' not in converted.path.read_text(), "no weight has become 8 bits"


def test_a_graph_that_computes_something_else_is_not_proven(vocoder, tmp_path):
    path, signature = vocoder
    converted = openvino.convert(path, signature, tmp_path / "ir")
    model = onnx.load(path)
    bias = next(w for w in model.graph.initializer if w.name == model.graph.node[0].input[2])
    bias.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(bias)), bias.name))
    onnx.save(model, path)
    fed = list(cases(signature))
    assert parity("", OnnxRuntime(path), OpenVino(converted.path), fed).fault


def test_what_it_does_not_read_and_nodes_that_are_not_there_are_named(vocoder, tmp_path):
    path, signature = vocoder
    feeds = [signature.example()]
    with pytest.raises(RequestError, match="no node 'absent'"):
        openvino.convert(path, signature, tmp_path / "a", calibration=feeds, kept=["absent"])
    model = onnx.load(path)
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.example", "Mystery"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match=r"OpenVINO .* cannot load.*Mystery"):
        openvino.convert(path, signature, tmp_path / "b")


def test_lengths_that_were_baked_in_are_found(vocoder, tmp_path):
    path, signature = vocoder
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 40
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match="fixed length of 40"):
        openvino.convert(path, signature, tmp_path / "ir")


def test_what_a_fourier_transform_gives_stays_in_float32_up_to_the_first_layer(tmp_path):
    """Where the rest is bfloat16: rounded spectra move what a predictor of MOS says."""
    if "BF16" not in processor().instructions:
        pytest.skip("no bfloat16 here")
    path, kind = tmp_path / "net.onnx", onnx.TensorProto.FLOAT
    make, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        make("STFT", ["x", "step", "", "size"], ["spectrum"], "stft"),
        make("Mul", ["spectrum", "spectrum"], ["squares"], "squares"),
        make("ReduceSum", ["squares", "last"], ["power"], "power", keepdims=0),
        make("MatMul", ["power", "w"], ["layer"], "layer"),
        make("Sub", ["layer", "large"], ["y"], "after"),
    ]
    random = np.random.default_rng(0)
    weights = {"step": np.array(8), "size": np.array(16), "last": np.array([-1]), "large": np.float32(0.5)}
    weights["w"] = random.standard_normal((9, 3)).astype(np.float32)
    graph = onnx.helper.make_graph(
        nodes, "net", [value("x", kind, ["rows", "samples", 1])], [value("y", kind, ["rows", "frames", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(
        onnx.helper.make_model(graph, ir_version=9, opset_imports=[onnx.helper.make_opsetid("", 18)]), path
    )
    openvino.write(str(path), str(tmp_path / "model.xml"), "", [], "bf16")
    engine = OpenVino(tmp_path / "model.xml")
    assert engine.provider.endswith("CPU bf16")
    x = random.standard_normal((2, 4000, 1)).astype(np.float32)
    expected, found = OnnxRuntime(path).prepare({"x": x})()["y"], engine.prepare({"x": x})()["y"]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
