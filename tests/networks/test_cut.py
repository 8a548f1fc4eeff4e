"""Cutting networks at their vocoder: where, how far each part looks, and that nothing is heard of it."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sonorant.networks import BATCH, Axis, Network, Signature, Tensor, cut, streaming
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.onnxruntime import OnnxRuntime, described
from sonorant.networks.here import here, now
from sonorant.networks.locality import Graph

CHANNELS = 6
"""of the networks that conftest.py makes"""
MEL = Tensor("mel", "float32", (BATCH, CHANNELS, Axis("frames", typical=50)), low=-1, high=1)
NOISE = Tensor("noise", "float32", (1,), low=0, high=1)
SAMPLES = Axis("samples", "sample at 16 kHz")
SPEAKER = Tensor("speaker", "float32", (BATCH, CHANNELS), low=-1, high=1)


class Builder:
    """A host without a replica."""

    def __init__(self, home: Path) -> None:
        self.artefacts = Artefacts(home, described("cpu"))

    def engine(
        self, network: str, path: Path, *, exposed: tuple[str, ...] = (), **defaults: object
    ) -> OnnxRuntime:
        return OnnxRuntime(path, exposed=exposed)

    def network(self, name: str, signature: Signature, engine: OnnxRuntime) -> Network:
        return here(name, signature, engine)


def model(path: Path, *more: Tensor, first: int = 7, most: int = 512) -> streaming.Model:
    signature = Signature((MEL, NOISE, *more), (Tensor("audio", "float32", (BATCH, 1, SAMPLES)),))
    still = {"noise": np.zeros(1, np.float32)}
    return streaming.Model(path, signature, "audio", (), still, "frames", (2, 40, 130), first, most)


def stages(path: Path) -> list[cut.Stage]:
    return [stage for stage, _ in cut.find(Graph(onnx.load(path)), "audio")]


def loaded(path: Path, tmp_path: Path, *more: Tensor, first: int = 7) -> streaming.Streamed:
    """Cut, compared with the whole at three lengths, and loaded."""
    found = streaming.load(Builder(tmp_path / "home"), "net", model(path, *more, first=first))
    assert found is not None
    return found


def pieces(net: streaming.Streamed, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    async def run() -> list[np.ndarray]:
        given = await net.begin(**feeds)
        return [piece async for piece, _ in net.windows.run(given)]

    return now(run())


def test_vits_is_cut_behind_its_noise_and_the_flow_runs_by_itself(net, tmp_path):
    x = net.noisy(net.mixed(net.conv("mel", 3)))
    mask = net.node(
        "Cast",
        net.node(
            "Less", net.node("Abs", net.node("ReduceMean", "mel", axes=[1])), net.constant(np.float32(9))
        ),
        to=1,
    )
    path = net.save(tmp_path / "vits.onnx", net.vocoder(net.flow(x, mask, 4), (4, 2)))
    flow, vocoder = stages(path)
    assert (flow.steps, vocoder.steps) == (1, 8)
    # four convolutions of 5 frames, the vocoder's first of 7, and the one of 3 whose mean is another input
    assert flow.context == (4 * 2 + 3 + 1, 4 * 2 + 3 + 1)
    assert flow.crops[0] < flow.context
    parts = loaded(path, tmp_path)
    first, last = (part.network.signature.outputs[0].dims[-1] for part in parts.windows.parts)
    assert (first.seconds, last.seconds) == (None, 1 / 16_000), "the last part gives the network's sound"
    feeds = model(path).signature.example(frames=301)
    feeds["noise"] = np.ones(1, np.float32)
    found = pieces(parts, feeds)
    assert len(found) > 3
    assert [piece.shape[2] for piece in found[:2]] == [7 * 8, 21 * 8]
    noisy = np.concatenate(found, 2)
    feeds["noise"] = np.zeros(1, np.float32)
    whole = OnnxRuntime(path).prepare(feeds)()["audio"]
    np.testing.assert_allclose(np.concatenate(pieces(parts, feeds), 2), whole, atol=1e-4)
    assert np.abs(noisy - whole).max() > 0.05
    assert 0.05 < np.std(whole) < 0.7


def test_a_vocoder_with_several_upsamplings_looks_as_far_as_its_kernels(net, tmp_path):
    path = net.save(tmp_path / "hifigan.onnx", net.vocoder(net.mixed("mel"), (8, 5, 4)))
    [vocoder] = stages(path)
    assert vocoder.steps == 160
    # measured: which frames change a sample in the middle of the tail's output
    parts = loaded(path, tmp_path)
    [part] = parts.windows.parts
    size, middle = 41, 20
    tensor = vocoder.inputs[0]
    feeds = part.network.signature.example(frames=size)
    before = part.network.engine.prepare(feeds)()[vocoder.output]
    reached = []
    for frame in range(size):
        moved = {**feeds, tensor.name: feeds[tensor.name].copy()}
        moved[tensor.name][:, :, frame] += 1
        after = part.network.engine.prepare(moved)()[vocoder.output]
        if not np.array_equal(
            before[..., middle * 160 : middle * 160 + 160], after[..., middle * 160 : middle * 160 + 160]
        ):
            reached.append(frame)
    assert (middle - reached[0], reached[-1] - middle) == vocoder.context


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_padding_by_itself_and_on_one_side_is_understood(net, tmp_path, mode):
    x = net.up(net.mixed("mel"), 4)
    padded = net.node("Pad", x, net.constant(np.array([0, 0, 6, 0, 0, 0])), mode=mode)
    x = net.node("Conv", padded, net.weight(1, CHANNELS, 4), dilations=[2], kernel_shape=[4])
    path = net.save(tmp_path / "causal.onnx", net.node("Tanh", x))
    [vocoder] = stages(path)
    assert vocoder.context == (2, 1)
    parts, feeds = loaded(path, tmp_path), model(path).signature.example(frames=99)
    whole = OnnxRuntime(path).prepare(feeds)()["audio"]
    np.testing.assert_allclose(np.concatenate(pieces(parts, feeds), 2), whole, atol=1e-4)


def test_a_causal_vocoder_looks_back_only(net, tmp_path):
    x = net.mixed("mel")
    for by in (4, 2):
        x = net.node("Pad", x, net.constant(np.array([0, 0, 8, 0, 0, 0])))
        x = net.node("Conv", x, net.weight(CHANNELS, CHANNELS, 5), dilations=[2], kernel_shape=[5])
        w = net.weight(CHANNELS, CHANNELS, 2 * by)
        x = net.node("ConvTranspose", x, w, kernel_shape=[2 * by], pads=[0, by], strides=[by])
        x = net.node("LeakyRelu", x, alpha=0.1)
    path = net.save(tmp_path / "causal.onnx", net.node("Tanh", net.conv(x, 1, out=1)))
    # eight frames of the first convolution; nine steps of a quarter and one frame of what upsamples
    assert [stage.context for stage in stages(path)] == [(8, 0), (4, 0)]
    parts, feeds = loaded(path, tmp_path), model(path).signature.example(frames=99)
    whole = OnnxRuntime(path).prepare(feeds)()["audio"]
    np.testing.assert_allclose(np.concatenate(pieces(parts, feeds), 2), whole, atol=1e-4)


def test_a_speaker_is_fed_whole_to_every_window(net, tmp_path):
    column = net.node("Unsqueeze", "speaker", net.constant(np.array([2])))
    x = net.node("Add", net.mixed("mel"), net.conv(column, 1))
    x = net.resblock(net.conv(net.node("Add", net.conv(x, 7), net.conv(column, 1)), 3), 3, (1, 2))
    path = net.save(tmp_path / "many.onnx", net.vocoder(x, (4,)), speakers=True)
    found = stages(path)
    assert [tensor.steps for stage in found for tensor in stage.inputs] == [1, 0, 1]
    parts = loaded(path, tmp_path, SPEAKER)
    feeds = model(path, SPEAKER).signature.example(frames=99)
    whole = OnnxRuntime(path).prepare(feeds)()["audio"]
    np.testing.assert_allclose(np.concatenate(pieces(parts, feeds), 2), whole, atol=1e-4)


def test_a_recurrence_before_the_vocoder_stays_in_the_front(net, tmp_path):
    path = net.save(tmp_path / "net.onnx", net.vocoder(net.lstm("mel"), (4, 2)))
    assert len(stages(path)) == 1
    parts, feeds = loaded(path, tmp_path), model(path).signature.example(frames=99)
    assert "LSTM" not in {
        n.op_type for n in onnx.load(parts.windows.parts[0].network.engine.source).graph.node
    }
    whole = OnnxRuntime(path).prepare(feeds)()["audio"]
    np.testing.assert_allclose(np.concatenate(pieces(parts, feeds), 2), whole, atol=1e-4)


def test_a_flow_that_looks_too_far_stays_in_the_front(net, tmp_path):
    mask = net.constant(np.ones((1, 1, 1), np.float32))
    path = net.save(
        tmp_path / "net.onnx", net.vocoder(net.flow(net.mixed("mel"), mask, 4, dilation=16), (4, 2))
    )
    [vocoder] = stages(path)
    assert max(vocoder.context) < 16
    loaded(path, tmp_path)


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ("normed", "InstanceNormalization /InstanceNormalization_.* mixes all times"),
        ("mixed", "ReduceMean /ReduceMean_.* mixes all times"),
        ("lstm", "LSTM /LSTM_.* mixes all times"),
    ],
)
def test_what_mixes_all_times_inside_the_vocoder_forbids_a_cut_and_is_named(
    net, tmp_path, caplog, between, message
):
    path = net.save(tmp_path / "net.onnx", net.vocoder("mel", (4, 2), getattr(net, between)))
    with pytest.raises(cut.Uncut, match=message):
        stages(path)
    builder = Builder(tmp_path / "home")
    assert streaming.load(builder, "net", model(path)) is None
    assert "net.onnx is used as it is: no exact cut" in caplog.text


def test_a_network_without_upsampling_is_not_cut(net, tmp_path):
    path = net.save(tmp_path / "net.onnx", net.conv("mel", 3, out=1))
    with pytest.raises(cut.Uncut, match="no vocoder"):
        stages(path)


def test_a_window_that_looks_less_far_is_not_proven(net, tmp_path, caplog, monkeypatch):
    """The proof is by running, not by the reading of the graph."""
    path = net.save(tmp_path / "net.onnx", net.vocoder(net.mixed("mel"), (4, 2)))
    real = cut.Boundary.context
    monkeypatch.setattr(cut.Boundary, "context", lambda self, hop: tuple(n - 2 for n in real(self, hop)))
    assert streaming.load(Builder(tmp_path / "home"), "net", model(path)) is None
    assert "used as it is: differs by more than 0.0001 (40 frames, nothing random: audio" in caplog.text
