"""A small vocoder, transformer and VITS with random weights, each with its signature."""

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from networks.conftest import CHANNELS, Net
from sonorant.networks import BATCH, Axis, Signature, Tensor

WIDTH, HEADS = 64, 4
SYMBOLS = 20
ITEMS = Axis("items", min=2, typical=12, max=40)
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


@pytest.fixture
def voice(net, tmp_path):
    """ids [batch, items], how many of them are real, and pace → audio: what stops TensorRT in a VITS."""
    path, kind, value = tmp_path / "voice.onnx", TensorProto.FLOAT, helper.make_tensor_value_info
    net.nodes.append(helper.make_node("Identity", [net.spoken()], ["audio"]))
    inputs = [value("ids", TensorProto.INT64, ["b", "t"]), value("real", TensorProto.INT64, ["b"])]
    inputs += [value("pace", kind, [1])]
    graph = helper.make_graph(net.nodes, "net", inputs, [value("audio", kind, ["b", 1, "n"])], net.weights)
    save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)
    tensors = (
        Tensor("ids", "int64", (BATCH, ITEMS), 0, SYMBOLS - 1),
        Tensor("real", "int64", (BATCH,), lengths_of=ITEMS.name),
        Tensor("pace", "float32", (1,), typical=(1.0,)),
    )
    return path, Signature(tensors, (Tensor("audio", "float32", (BATCH, 1, Axis("samples"))),))


class Layers(Net):
    """With those of a transformer and of a VITS."""

    def spoken(self):
        """Durations by a spline (boolean indexing), as many frames as they come to, a masked layer, a vocoder."""
        items = self.node("Gather", self.weight(SYMBOLS, CHANNELS), "ids")
        x = self.node("Transpose", items, perm=[0, 2, 1])
        there = self.mask(self.node("Gather", self.node("Shape", x), self.at(2)), "real")
        x = self.node("Mul", self.conv(self.node("Mul", x, there), 3), there)
        drawn = self.spline(self.conv(x, 3, out=1))
        durations = self.node("Mul", self.node("Exp", drawn), self.node("Mul", there, "pace"))
        durations = self.node("Ceil", durations)
        total = self.node("ReduceSum", durations, self.constant(np.array([1, 2])), keepdims=0)
        total = self.node(
            "Cast", self.node("Clip", total, self.constant(np.float32(1))), to=TensorProto.INT64
        )
        mask = self.mask(self.node("ReduceMax", total, keepdims=0), total)
        ends = self.node("CumSum", durations, self.at(2))
        at = self.node("Sub", self.node("CumSum", mask, self.at(2)), self.constant(np.float32(0.5)))
        begun = self.passed(at, self.node("Sub", ends, durations))
        path = self.node("Mul", self.node("Sub", begun, self.passed(at, ends)), mask)
        return self.vocoder(self.layered(self.node("MatMul", x, path), mask), (4, 4))

    def layered(self, x, mask):
        """A layer to which a speaker's vector would be added, of a voice that has none."""
        x = self.conv(x, 3)
        zeros = self.node("ConstantOfShape", self.node("Shape", x))
        return self.node("Mul", self.node("Tanh", self.node("Add", x, zeros)), mask)

    def passed(self, at, moments):
        """[batch, items, frames]: 1 where a frame is behind an item's moment."""
        moments = self.node("Transpose", moments, perm=[0, 2, 1])
        return self.node("Cast", self.node("Less", moments, at), to=TensorProto.FLOAT)

    def mask(self, size, lengths):
        """[batch, 1, size]: 1 where a row is real."""
        steps = self.node("Range", self.at(0), size, self.at(1))
        ends = self.node("Unsqueeze", lengths, self.constant(np.array([1, 2])))
        return self.node("Cast", self.node("Less", steps, ends), to=TensorProto.FLOAT)

    def spline(self, x):
        """y = x; y[x < 0.3] = tanh(x[x < 0.3])"""
        chosen = self.node("NonZero", self.node("Less", x, self.constant(np.float32(0.3))))
        rows = self.node("Transpose", chosen, perm=[1, 0])
        return self.node("ScatterND", x, rows, self.node("Tanh", self.node("GatherND", x, rows)))

    def at(self, place):
        return self.constant(np.array(place))

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
