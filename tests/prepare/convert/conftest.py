"""A small vocoder and a small transformer with random weights, each with its signature."""

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from networks.conftest import CHANNELS, Net
from sonorant.networks import BATCH, Axis, Signature, Tensor

WIDTH, HEADS = 64, 4
FRAMES = Axis("frames", unit="10 ms", min=2, typical=40, max=400)


@pytest.fixture
def vocoder(net, tmp_path):
    """mel [batch, CHANNELS, frames] → audio, 16 samples a frame."""
    path = net.save(tmp_path / "vocoder.onnx", net.vocoder("mel", (4, 4)))
    inputs = Tensor("mel", "float32", (BATCH, CHANNELS, FRAMES), -2, 2), Tensor("noise", "float32", (1,))
    samples = Axis("samples", length=lambda sizes: 16 * sizes["frames"])
    return path, Signature(inputs, (Tensor("audio", "float32", (BATCH, 1, samples)),))


@pytest.fixture
def net():
    return Layers()


@pytest.fixture
def transformer(net, tmp_path):
    """x [batch, frames, WIDTH] and mask → y of the same shape."""
    x = net.layer(net.layer("x"))
    path = tmp_path / "transformer.onnx"
    kind, value = TensorProto.FLOAT, helper.make_tensor_value_info
    net.nodes.append(helper.make_node("Identity", [x], ["y"]))
    inputs = [value("x", kind, ["b", "t", WIDTH]), value("mask", TensorProto.BOOL, ["b", "t"])]
    graph = helper.make_graph(net.nodes, "net", inputs, [value("y", kind, ["b", "t", WIDTH])], net.weights)
    save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)
    tensors = Tensor("x", "float32", (BATCH, FRAMES, WIDTH), -1, 1), Tensor("mask", "bool", (BATCH, FRAMES))
    return path, Signature(tensors, (Tensor("y", "float32", (BATCH, FRAMES, WIDTH)),))


class Layers(Net):
    """With those of a transformer."""

    def linear(self, x, into, out):
        w = self.constant(self.random.normal(0, into**-0.5, (into, out)).astype(np.float32))
        return self.node("Add", self.node("MatMul", x, w), self.weight(out))

    def norm(self, x):
        return self.node(
            "LayerNormalization", x, self.constant(np.ones(WIDTH, np.float32)), self.weight(WIDTH)
        )

    def heads(self, x):
        shape = self.constant(np.array([0, 0, HEADS, WIDTH // HEADS]))
        return self.node("Transpose", self.node("Reshape", x, shape), perm=[0, 2, 1, 3])

    def layer(self, x):
        """Attention that leaves out where `mask` is true, and two linear layers."""
        normed = self.norm(x)
        q, k, v = (self.heads(self.linear(normed, WIDTH, WIDTH)) for _ in range(3))
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        mask = self.node("Unsqueeze", "mask", self.constant(np.array([1, 2])))
        scores = self.node("Where", mask, self.constant(np.float32(-1e4)), scores)
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
        mixed = self.node("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = self.node("Reshape", mixed, self.constant(np.array([0, 0, WIDTH])))
        x = self.node("Add", x, self.linear(mixed, WIDTH, WIDTH))
        hidden = self.node("Relu", self.linear(self.norm(x), WIDTH, 4 * WIDTH))
        return self.node("Add", x, self.linear(hidden, 4 * WIDTH, WIDTH))
