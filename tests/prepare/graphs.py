"""Tiny networks with random weights: a vocoder, a transformer, and a network over mel frames with a mask."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
MELS, WIDTH, TOKENS = 16, 32, 50


class Graph:
    """A graph in the making; each method adds a layer behind a tensor and returns what it gives."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int, scale: float | None = None) -> str:
        loudness = scale if scale is not None else (1.5 / np.prod(shape[1:])) ** 0.5
        return self.constant(self.random.normal(0, loudness, shape).astype(np.float32))

    def constant(self, value: object) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: object) -> str:
        out = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=f"/{out}", **attributes))
        return out

    def linear(self, x: str, into: int, out: int) -> str:
        w = self.constant(self.random.normal(0, into**-0.5, (into, out)).astype(np.float32))
        return self.node("Add", self.node("MatMul", x, w), self.weight(out, scale=0.1))

    def conv(self, x: str, into: int, out: int, kernel: int) -> str:
        pads = [(kernel - 1) // 2, kernel // 2]
        w, b = self.weight(out, into, kernel), self.weight(out, scale=0.1)
        return self.node("Conv", x, w, b, kernel_shape=[kernel], pads=pads)

    def up(self, x: str, into: int, out: int, by: int) -> str:
        w, b = self.weight(into, out, 2 * by), self.weight(out, scale=0.1)
        return self.node(
            "ConvTranspose", x, w, b, kernel_shape=[2 * by], strides=[by], pads=[by // 2, by - by // 2]
        )

    def norm(self, x: str, width: int) -> str:
        scale, bias = self.constant(np.ones(width, np.float32)), self.weight(width, scale=0.1)
        return self.node("LayerNormalization", x, scale, bias, axis=-1)

    def attention(self, x: str, width: int) -> str:
        q, k, v = (self.linear(x, width, width) for _ in range(3))
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 2, 1]))
        scores = self.node("Mul", scores, self.constant(np.float32(width**-0.5)))
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
        return self.node("Add", x, self.linear(mixed, width, width))

    def save(
        self,
        path: Path,
        inputs: Sequence[tuple[str, int, Sequence[str | int]]],
        outputs: Sequence[tuple[str, str, Sequence[str | int]]],
        opset: int = 17,
    ) -> Path:
        """outputs: (tensor, name, shape)"""
        for tensor, name, _ in outputs:
            self.node("Identity", tensor, name=name)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(*each) for each in inputs],
            [helper.make_tensor_value_info(name, FLOAT, shape) for _, name, shape in outputs],
            self.weights,
        )
        model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset)])
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


def vocoder(path: Path) -> Path:
    """mel [batch, MELS, frames] → audio [batch, 1, samples], 8 samples a frame."""
    net = Graph()
    x = net.conv("mel", MELS, WIDTH, 7)
    x = net.up(net.node("LeakyRelu", x, alpha=0.1), WIDTH, WIDTH // 2, 8)
    x = net.node("Add", x, net.conv(net.node("LeakyRelu", x, alpha=0.1), WIDTH // 2, WIDTH // 2, 3))
    x = net.node("Tanh", net.conv(net.node("LeakyRelu", x, alpha=0.1), WIDTH // 2, 1, 7))
    return net.save(
        path, [("mel", FLOAT, ["batch", MELS, "frames"])], [(x, "audio", ["batch", 1, "samples"])]
    )


def transformer(path: Path) -> Path:
    """ids int64 [batch, tokens] → logits [batch, tokens, TOKENS]"""
    net = Graph(1)
    x = net.node("Gather", net.weight(TOKENS, WIDTH, scale=1.0), "ids")
    for _ in range(2):
        x = net.attention(net.norm(x, WIDTH), WIDTH)
        hidden = net.node("Relu", net.linear(net.norm(x, WIDTH), WIDTH, 4 * WIDTH))
        x = net.node("Add", x, net.linear(hidden, 4 * WIDTH, WIDTH))
    x = net.linear(net.norm(x, WIDTH), WIDTH, TOKENS)
    return net.save(path, [("ids", INT, ["batch", "tokens"])], [(x, "logits", ["batch", "tokens", TOKENS])])


def outlying(path: Path) -> tuple[Path, str]:
    """A transformer, and its matrix of which one input is far larger than the others: all fall into one step."""
    model = onnx.load(transformer(path))
    weights = {w.name: w for w in model.graph.initializer}
    matrices = [n for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    norm = [n for n in model.graph.node if n.op_type == "LayerNormalization"][-1]
    for name, factor in ((norm.input[1], 400), (matrices[-1].input[1], 1 / 400)):
        value = numpy_helper.to_array(weights[name]).copy()
        value[0] *= factor
        weights[name].CopyFrom(numpy_helper.from_array(value, name))
    onnx.save(model, path)
    return path, matrices[-1].name


def masked(path: Path) -> Path:
    """feats [batch, frames, MELS], lengths int64 [batch] → embedding [batch, WIDTH], of the real frames."""
    net = Graph(2)
    x = net.node("Transpose", "feats", perm=[0, 2, 1])
    x = net.node("Relu", net.conv(x, MELS, WIDTH, 5))
    x = net.node("Relu", net.conv(x, WIDTH, WIDTH, 3))
    shape = net.node("Shape", "feats")
    frames = net.node("Gather", shape, net.constant(np.array(1)), axis=0)
    one, zero = net.constant(np.array(1)), net.constant(np.array(0))
    steps = net.node("Range", zero, frames, one)
    column = net.node("Unsqueeze", "lengths", net.constant(np.array([1])))
    mask = net.node("Cast", net.node("Less", steps, column), to=FLOAT)
    mask = net.node("Unsqueeze", mask, net.constant(np.array([1])))
    x = net.node("ReduceSum", net.node("Mul", x, mask), net.constant(np.array([2])), keepdims=0)
    count = net.node("Cast", column, to=FLOAT)
    x = net.linear(net.node("Div", x, count), WIDTH, WIDTH)
    return net.save(
        path,
        [("feats", FLOAT, ["batch", "frames", MELS]), ("lengths", INT, ["batch"])],
        [(x, "embedding", ["batch", WIDTH])],
    )
