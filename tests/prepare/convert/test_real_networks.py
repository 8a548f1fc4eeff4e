"""Real networks: a VITS (the Piper voice joe), and the vocoder in it, which is HiFi-GAN's."""

import numpy as np
import onnx
import pytest
from onnx.utils import Extractor

from sonorant.catalogue import Catalogue
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.prepare.convert import openvino, tensorrt
from sonorant.prepare.convert.dense import dense
from sonorant.settings import load_settings

pytestmark = pytest.mark.heavy

PHONEMES = Axis("phonemes", min=3, typical=60, max=300)
FRAMES = Axis("frames", min=8, typical=100, max=400)
DURATIONS, DECODED = "/Ceil_output_0", "/dec/conv_pre/Conv_output_0"
AUDIO = Tensor("output", "float32", (BATCH, 1, 1, Axis("samples")))
PARTS = {
    # text and pace; its end, where sizes begin to follow from values, is where TensorRT's parser stops
    "durations": Signature(
        (
            Tensor("input", "int64", (BATCH, PHONEMES), 0, 100),
            Tensor("input_lengths", "int64", (BATCH,), lengths_of="phonemes"),
            Tensor("scales", "float32", (3,), typical=(0.0, 1.0, 0.0)),
        ),
        (Tensor(DURATIONS, "float32", (BATCH, 1, PHONEMES)),),
    ),
    "vocoder": Signature((Tensor(DECODED, "float32", (BATCH, 256, FRAMES), -1, 1),), (AUDIO,)),
}


@pytest.fixture(scope="module")
def voice():
    catalogue = Catalogue(load_settings().catalogue)
    folder = catalogue.ensure(catalogue.find("piper-joe"))
    return next(folder.glob("*.onnx"))


@pytest.fixture(scope="module")
def whole(voice):
    return onnx.shape_inference.infer_shapes(dense(onnx.load(voice)))


@pytest.fixture
def part(whole, tmp_path):
    def made(name):
        signature, path = PARTS[name], tmp_path / "part.onnx"
        names = [[t.name for t in tensors] for tensors in (signature.inputs, signature.outputs)]
        extracted = Extractor(whole).extract_model(*names)
        for kind, tensors in (
            (extracted.graph.input, signature.inputs),
            (extracted.graph.output, signature.outputs),
        ):
            for value, tensor in zip(kind, tensors, strict=True):
                declared = onnx.TensorProto.INT64 if tensor.dtype == "int64" else onnx.TensorProto.FLOAT
                dims = [dim if isinstance(dim, int) else dim.name for dim in tensor.dims]
                value.CopyFrom(onnx.helper.make_tensor_value_info(tensor.name, declared, dims))
        onnx.save(extracted, path)
        return path, signature

    return made


def test_a_vits_without_boolean_indexing_says_the_same(voice, whole, tmp_path):
    assert any(node.op_type == "NonZero" for node in onnx.load(voice).graph.node)
    assert not any(node.op_type == "NonZero" for node in whole.graph.node)
    onnx.save(whole, tmp_path / "dense.onnx")
    published, ours = OnnxRuntime(voice), OnnxRuntime(tmp_path / "dense.onnx")
    for n in (5, 90):
        feeds = {
            "input": np.random.default_rng(n).integers(1, 100, (1, n)),
            "input_lengths": np.array([n]),
            "scales": np.array([0, 1, 0], np.float32),
        }
        np.testing.assert_allclose(
            ours.prepare(feeds)()["output"], published.prepare(feeds)()["output"], atol=1e-6
        )


@pytest.mark.parametrize("name", PARTS)
def test_its_parts_build_with_dynamic_profiles(part, tmp_path, name):
    path, signature = part(name)
    converted = tensorrt.convert(path, signature, tmp_path / "trt", axes={"batch": (1, 1, 4)})
    assert converted.path.stat().st_size > 1_000_000


@pytest.mark.parametrize("name", ["durations", "vocoder"])
def test_its_parts_compute_the_same_on_openvino(part, tmp_path, name):
    path, signature = part(name)
    assert not openvino.convert(path, signature, tmp_path / "ir").evidence.fault
