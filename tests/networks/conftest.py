"""Tiny networks with random weights whose end is, or nearly is, a convolutional vocoder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 6


@pytest.fixture
def net() -> "Net":
    return Net()


class Net:
    """A graph in the making; each method adds a layer behind a tensor and returns what it gives."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int) -> str:
        loudness = (1 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        return self.constant(self.random.normal(0, loudness, shape).astype(np.float32))

    def constant(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        names = [f"{kind}_{len(self.nodes)}_0"]
        self.nodes.append(
            helper.make_node(kind, inputs, names, name=f"/{kind}_{len(self.nodes)}", **attributes)
        )
        return names[0]

    def conv(self, x: str, kernel: int, dilation: int = 1, out: int = CHANNELS, into: int = CHANNELS) -> str:
        pad = dilation * (kernel - 1) // 2
        return self.node(
            "Conv", x, self.weight(out, into, kernel), self.weight(out),
            dilations=[dilation], kernel_shape=[kernel], pads=[pad, pad], strides=[1],
        )  # fmt: skip

    def up(self, x: str, by: int) -> str:
        w, b = self.weight(CHANNELS, CHANNELS, 2 * by), self.weight(CHANNELS)
        x = self.node("LeakyRelu", x, alpha=0.1)
        return self.node(
            "ConvTranspose", x, w, b, kernel_shape=[2 * by], pads=[by // 2, by - by // 2], strides=[by]
        )

    def resblock(self, x: str, kernel: int, dilations: tuple[int, ...]) -> str:
        for dilation in dilations:
            x = self.node("Add", x, self.conv(self.node("LeakyRelu", x, alpha=0.1), kernel, dilation))
        return x

    def vocoder(self, x: str, ups: tuple[int, ...], between: Callable[[str], str] = lambda x: x) -> str:
        """HiFi-GAN: [1, CHANNELS, frames] → [1, 1, samples]; `between` stands behind each upsampling."""
        x = self.conv(x, 7)
        for by in ups:
            x = between(self.up(x, by))
            blocks = [self.resblock(x, 3, (1, 2)), self.resblock(x, 5, (2, 3))]
            x = self.node("Div", self.node("Add", *blocks), self.constant(np.float32(2)))
        return self.node("Tanh", self.conv(self.node("LeakyRelu", x, alpha=0.01), 7, out=1))

    def mixed(self, x: str) -> str:
        """Every frame depends on all others."""
        return self.node("Sub", x, self.node("ReduceMean", x, axes=[2], keepdims=1))

    def normed(self, x: str) -> str:
        """A norm over time."""
        return self.node("InstanceNormalization", x, self.weight(CHANNELS), self.weight(CHANNELS))

    def lstm(self, x: str) -> str:
        """A recurrence over time."""
        n = CHANNELS
        x = self.node("Transpose", x, perm=[2, 0, 1])
        y = self.node("LSTM", x, self.weight(1, 4 * n, n), self.weight(1, 4 * n, n), hidden_size=n)
        return self.node("Transpose", self.node("Squeeze", y, self.constant(np.array([1]))), perm=[1, 2, 0])

    def noisy(self, x: str) -> str:
        """Noise of the loudness `noise`."""
        return self.node("Add", x, self.node("Mul", self.node("RandomNormalLike", x, dtype=1), "noise"))

    def flow(self, x: str, mask: str, couplings: int, dilation: int = 1) -> str:
        """Inverse couplings as in VITS: halves, a masked convolution of one added to the other, flipped."""
        half = CHANNELS // 2
        axis, step = self.constant(np.array([1])), self.constant(np.array([-1]))
        start, end = self.constant(np.array([-1])), self.constant(np.array([-(2**31)]))
        for _ in range(couplings):
            x = self.node("Slice", x, start, end, axis, step)
            left = self.node("Slice", x, self.constant(np.array([0])), self.constant(np.array([half])), axis)
            right = self.node(
                "Slice", x, self.constant(np.array([half])), self.constant(np.array([99])), axis
            )
            hidden = self.node("Mul", self.conv(left, 1, into=half), mask)
            zeros = self.node("ConstantOfShape", self.node("Shape", hidden))
            wave = self.node("Tanh", self.node("Add", self.conv(hidden, 5, dilation), zeros))
            moved = self.node("Mul", self.conv(wave, 1, out=half), mask)
            x = self.node("Concat", left, self.node("Sub", right, moved), axis=1)
        return self.node("Mul", x, mask)

    def save(self, path: Path, output: str, *, speakers: bool = False) -> Path:
        """mel [1, CHANNELS, frames] (and noise, and the speaker's [1, CHANNELS]) → output."""
        value, kind = helper.make_tensor_value_info, TensorProto.FLOAT
        inputs = [value("mel", kind, ["b", CHANNELS, "t"]), value("noise", kind, [1])]
        inputs += [value("speaker", kind, ["b", CHANNELS])] if speakers else []
        self.nodes.append(helper.make_node("Identity", [output], ["audio"]))
        graph = helper.make_graph(
            self.nodes, "net", inputs, [value("audio", kind, ["b", 1, "n"])], self.weights
        )
        onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)
        return path
