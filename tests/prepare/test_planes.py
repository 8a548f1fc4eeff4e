"""Passes that make 8 bits worth it, and change nothing by themselves: planes, and channels that are equally loud."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from prepare import graphs
from sonorant.prepare.passes.conv2d import conv2d
from sonorant.prepare.passes.equalise import equalise
from sonorant.prepare.passes.kind import Material, named


def mel(frames: int, batch: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(frames)
    loudness = np.linspace(0.1, 3, graphs.MELS, dtype=np.float32)[:, np.newaxis]
    return {"mel": random.normal(size=(batch, graphs.MELS, frames)).astype(np.float32) * loudness}


MATERIAL = Material(feeds=(mel(31), mel(12)))


def computed(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["audio"], feeds)[0]


@pytest.fixture
def model(tmp_path) -> onnx.ModelProto:
    return named(onnx.load(graphs.vocoder(tmp_path / "vocoder.onnx")))


@pytest.mark.parametrize("change", [conv2d, equalise, lambda m, f: conv2d(named(equalise(m, f)), f)])
def test_every_length_and_batch_gives_the_same_sound(model, change):
    cases = [mel(1), mel(7), mel(40, batch=3)]
    expected = [computed(model, each) for each in cases]
    changed = change(model, MATERIAL)
    onnx.checker.check_model(changed)
    for each, right in zip(cases, expected, strict=True):
        np.testing.assert_allclose(computed(changed, each), right, atol=1e-5)


@pytest.mark.parametrize(("by", "size"), [(2, 4), (3, 7), (4, 9), (5, 5)])
def test_a_transposed_convolution_is_a_convolution_whatever_its_size(tmp_path, by, size):
    net = graphs.Graph()
    pads = [(size - by) // 2, size - by - (size - by) // 2]
    x = net.node(
        "ConvTranspose", "mel", net.weight(graphs.MELS, 3, size), net.weight(3), strides=[by], pads=pads
    )
    path = net.save(
        tmp_path / "up.onnx",
        [("mel", graphs.FLOAT, ["batch", graphs.MELS, "frames"])],
        [(x, "audio", ["batch", 3, "samples"])],
    )
    model = named(onnx.load(path))
    expected = computed(model, mel(9, batch=2))
    changed = conv2d(model, MATERIAL)
    assert Counter(node.op_type for node in changed.graph.node)["ConvTranspose"] == 0
    np.testing.assert_allclose(computed(changed, mel(9, batch=2)), expected, atol=1e-5)


def test_channels_come_nearer_to_each_other(model):
    def spread(model: onnx.ModelProto) -> float:
        up = next(node for node in model.graph.node if node.op_type == "ConvTranspose")
        biased = [*model.graph.output]
        model.graph.output.append(onnx.ValueInfoProto(name=up.input[0]))
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        inside = session.run([up.input[0]], mel(31))[0]
        del model.graph.output[:]
        model.graph.output.extend(biased)
        loudest = np.abs(inside).max((0, 2))
        return float(np.log(loudest).std())

    before = spread(model)
    assert spread(equalise(model, MATERIAL)) < 0.8 * before


def test_what_is_kept_out_stays_as_it_is(model):
    ups = frozenset(node.name for node in model.graph.node if node.op_type == "ConvTranspose")
    changed = conv2d(model, Material(MATERIAL.feeds, ups))
    assert Counter(node.op_type for node in changed.graph.node)["ConvTranspose"] == len(ups)
