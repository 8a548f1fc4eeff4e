"""Real networks: HiFi-GAN's generator, and a VITS (the Piper voice joe), whole and in parts."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.utils import Extractor

from networks.test_cut import Builder
from sonorant.catalogue import Catalogue
from sonorant.families.hifigan import networks as hifigan
from sonorant.families.hifigan.config import parse
from sonorant.families.hifigan.pipeline import generator
from sonorant.families.piper import networks
from sonorant.networks import BATCH, Axis, Signature, Tensor, streaming
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.torch import load_module
from sonorant.prepare.convert import openvino, tensorrt
from sonorant.prepare.convert.bounded import LENGTHS
from sonorant.prepare.convert.dense import dense
from sonorant.prepare.export import export
from sonorant.settings import load_settings

pytestmark = pytest.mark.heavy

STEPS = 8
PHONEMES = Axis("phonemes", min=3, typical=60, max=300)
FRAMES = Axis("frames", min=8, typical=100, max=400)
DURATIONS, DECODED = "/Ceil_output_0", "/dec/conv_pre/Conv_output_0"
AUDIO = Tensor("output", "float32", (BATCH, 1, 1, Axis("samples")))
PARTS = {
    # text and pace, up to where sizes begin to follow from values
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


def test_a_vits_says_the_same_as_tensorrt_is_given_it(voice, whole, tmp_path):
    assert any(node.op_type == "NonZero" for node in onnx.load(voice).graph.node)
    assert not any(node.op_type == "NonZero" for node in whole.graph.node)
    onnx.save(tensorrt.rewritten(onnx.load(voice), STEPS), tmp_path / "rewritten.onnx")
    published, ours = OnnxRuntime(voice), OnnxRuntime(tmp_path / "rewritten.onnx")
    for n in (5, 90):
        feeds = {
            "input": np.random.default_rng(n).integers(1, 100, (1, n)),
            "input_lengths": np.array([n]),
            "scales": np.array([0, 1, 0], np.float32),
        }
        before, now = published.prepare(feeds)()["output"], ours.prepare(feeds)()
        assert now["output"].shape[3] == STEPS * n * 256
        assert now[LENGTHS].tolist() == [before.shape[3]]
        np.testing.assert_allclose(now["output"][..., : before.shape[3]], before, atol=1e-5)


@pytest.mark.parametrize("name", PARTS)
def test_its_parts_build_with_dynamic_profiles(part, tmp_path, name):
    path, signature = part(name)
    converted = tensorrt.convert(path, signature, tmp_path / "trt", axes={"batch": (1, 1, 4)})
    assert converted.path.stat().st_size > 1_000_000


def test_a_vits_builds_whole(voice, tmp_path):
    declared = networks.signature(symbols=256, speakers=1, rate=22_050)
    sizes = {"batch": (1, 1, 1), "phonemes": (3, 120, 400)}
    converted = tensorrt.convert(voice, declared, tmp_path / "trt", axes=sizes, steps=STEPS)
    assert converted.path.stat().st_size > 50_000_000
    described = json.loads(converted.path.with_suffix(".json").read_text())
    assert described["profile"]["input"] == [[1, 3], [1, 120], [1, 400]]


def test_the_parts_in_which_it_is_served_build_for_the_sizes_of_their_signatures(voice, tmp_path):
    declared = networks.signature(symbols=256, speakers=1, rate=22_050)
    model = streaming.Model(voice, declared, "output", (), networks.QUIET, "phonemes", (61,), 20, 64)
    parts = streaming.load(Builder(tmp_path / "home"), "joe", model)
    assert parts is not None
    for part in parts.windows.parts:
        made = tensorrt.convert(Path(part.network.engine.source), part.network.signature, tmp_path / "trt")
        described = json.loads(made.path.with_suffix(".json").read_text())
        assert list(described["values"]) == ["crops"]
        assert made.path.stat().st_size > 5_000_000


def test_hifi_gan_as_it_is_exported_builds_for_the_sizes_of_its_signature(tmp_path):
    pytest.importorskip("torch")
    catalogue = Catalogue(load_settings().catalogue)
    folder = catalogue.ensure(catalogue.find("hifigan"))
    text = (folder / "config.json").read_text()
    declared = hifigan.signature(parse(text))
    module = load_module(folder / "generator_universal.pth.tar", lambda: generator(text))
    export(module, declared, tmp_path / "model.onnx")
    converted = tensorrt.convert(tmp_path / "model.onnx", declared, tmp_path / "trt")
    described = json.loads(converted.path.with_suffix(".json").read_text())
    assert described["profile"]["mel"] == [[1, 80, 1], [1, 80, 100], [8, 80, 800]]
    assert converted.path.stat().st_size > 50_000_000


@pytest.mark.parametrize("name", ["durations", "vocoder"])
def test_its_parts_compute_the_same_on_openvino(part, tmp_path, name):
    path, signature = part(name)
    assert not openvino.convert(path, signature, tmp_path / "ir").evidence.fault
