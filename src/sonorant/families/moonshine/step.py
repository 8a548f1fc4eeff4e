"""Moonshine's decoder, written anew for one step of several sequences, with the weights of a model file.

One network is for what is heard, once a sequence, and two are for a step: of one sequence, and of several.

Optimum's merged export spends much of a step on the shapes of its tensors, and its dynamic quantisation
(DynamicQuantizeLinear) takes one scale for a whole tensor, so that rows of a batch would change each other.
Here each row is quantised by itself, by the same arithmetic: a row's numbers are those of the export.
The network: transformers, modeling_moonshine.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sonorant.families.moonshine.weights import Weights, weights_of
from sonorant.networks.onnx_file import MICROSOFT, Graph
from sonorant.networks.ort_format import read
from sonorant.networks.signature import Array, Signature
from sonorant.networks.steps import POSITIONS

_UINT8, _INT32, _FLOAT = 2, 6, 1
"""types of the operator Cast (onnx.proto3, TensorProto.DataType)"""


BRANCH = "else_branch"
"""of the merged decoder's If: that of the first step has all the weights"""


def step_models(path: Path, memory: Signature, step: Signature) -> Iterator[bytes]:
    """The .onnx models of a step of several sequences, of the memory, and of a step of one where it differs.

    path: a merged decoder, quantised, as .ort; signatures: `memory_signature`, `steps_signature`. Raises
    LookupError where the file's operators have other names, ValueError where it is of another kind, both
    before the first model. One after the other, as each may take much memory.
    """
    source = weights_of(read(path, BRANCH))
    yield _Step(source, step, alone=False).model()
    yield _memory(source, memory)
    if source.quantised:
        yield _Step(source, step, alone=True).model()


def _memory(source: Weights, signature: Signature) -> bytes:
    """Keys and values of what is heard. Where frames are quantised, it is by one scale, as in the export."""
    graph = Graph()
    if source.quantised:
        quantised, scale, offset = graph.several("DynamicQuantizeLinear", "hidden_states", outputs=3)
    for tensor in signature.outputs:
        _, layer, kv = tensor.name.split(".")
        part = source.linear(f"layers.{layer}/encoder_attn/{kv[0]}_proj")
        weight = graph.constant(part.weight)
        if part.scale is not None and part.zero is not None:
            own = graph.constant(part.scale), graph.constant(part.zero)
            inputs = (quantised, weight, scale, own[0], offset, own[1])
            product = graph.op("MatMulIntegerToFloat", *inputs, domain=MICROSOFT)
        else:
            product = graph.op("MatMul", "hidden_states", weight)
        heads = graph.op("Reshape", product, graph.constant(np.array([0, 0, *tensor.dims[1::2]])))
        graph.op("Transpose", heads, name=tensor.name, perm=(0, 2, 1, 3))
    return graph.file(signature.inputs, signature.outputs)


class _Step(Graph):
    """One token further. `alone`: of one row only, whose layers need fewer operators."""

    def __init__(self, source: Weights, signature: Signature, *, alone: bool) -> None:
        super().__init__()
        self._source, self._signature, self._alone = source, signature, alone
        key = next(tensor for tensor in signature.inputs if tensor.name == "past.0.key")
        self._heads, self._width = int(str(key.dims[1])), int(str(key.dims[3]))
        self._hidden = self._heads * self._width

    def model(self) -> bytes:
        layers = sum(tensor.name.endswith(".key") for tensor in self._signature.inputs) // 2
        positions = self.op("Unsqueeze", "position", self.constant(np.array([1])))
        self._rotation()
        slots = self._slots()
        self._here = self.op("Unsqueeze", self.op("Equal", slots, positions), self.constant(np.array([1, 3])))
        later = self.op("Greater", slots, positions)
        past = self._left_out(later)
        frames = self._left_out(self.op("Less", "frames_mask", self.scalar(0.5)))
        x = self._embedded()
        for i in range(layers):
            layer = f"layers.{i}"
            x = self._heard(f"{layer}/self_attn", x, self._own(i, x, positions, past))
            x = self._heard(f"{layer}/encoder_attn", x, self._others(i, x, frames))
            x = self._fed_forward(layer, x)
        self.op("Identity", self.linear(self._normed("norm", x), "proj_out"), name="logits")
        best = self.op("ReduceMax", "logits", self.constant(np.array([1])), keepdims=1)
        away = self.op("Exp", self.op("Sub", "logits", best))
        total = self.op("ReduceSum", away, self.constant(np.array([1])), keepdims=0)
        self.op("Neg", self.op("Log", total), name="logprob")
        self.op("ArgMax", "logits", axis=1, keepdims=0, name="next")
        self.op("Add", "position", self.constant(np.array(1)), name="next_position")
        return self.file(self._signature.inputs, self._signature.outputs)

    def _embedded(self) -> str:
        table = self._source.embedding()
        found = self.op("Gather", self.constant(table.weight), "token", axis=0)
        if table.scale is None or table.zero is None:
            return found
        return self.op("DequantizeLinear", found, self.constant(table.scale), self.constant(table.zero))

    def _rotation(self) -> None:
        """Sines and cosines of every position."""
        angles = np.arange(POSITIONS, dtype=np.float32)[:, np.newaxis] * self._source.frequencies
        self.weights |= {"cosines": np.cos(angles), "sines": np.sin(angles)}

    def _slots(self) -> str:
        """Their numbers, int64 [n]."""
        number = self.op("Shape", "past.0.key", start=2, end=3)
        first, step = self.constant(np.array(0)), self.constant(np.array(1))
        return self.op("Range", first, self.op("Squeeze", number, self.constant(np.array([0]))), step)

    def _left_out(self, where: str) -> str:
        """bool [row, n] → a number so low that softmax leaves it out, else 0: [row, 1, 1, n]."""
        low = self.op("Where", where, self.scalar(-1e9), self.scalar(0))
        return self.op("Unsqueeze", low, self.constant(np.array([1, 2])))

    def _own(self, i: int, x: str, positions: str, mask: str) -> str:
        """Attention to what was said before."""
        name = f"layers.{i}/self_attn"
        normed = self._normed(f"layers.{i}/input_layernorm", x)
        projected = self.linear(normed, *(f"{name}/{part}_proj" for part in "qkv"))
        both, value = self.split(projected, 2 * self._hidden, self._hidden)
        turned = self.op(  # query and key at once, as twice as many heads
            "RotaryEmbedding",
            self._in_heads(both, 2 * self._heads),
            positions,
            "cosines",
            "sines",
            domain=MICROSOFT,
            interleaved=1,
            num_heads=2 * self._heads,
            rotary_embedding_dim=2 * self.weights["cosines"].shape[1],
        )
        query, key = self.split(turned, self._heads, self._heads)
        grown = {"key": key, "value": self._in_heads(value, self._heads)}
        for kv, new in grown.items():
            self.op("Where", self._here, new, f"past.{i}.{kv}", name=f"grown.{i}.{kv}")
        return self._attended(query, f"grown.{i}", mask)

    def _others(self, i: int, x: str, mask: str) -> str:
        """Attention to what is heard."""
        normed = self._normed(f"layers.{i}/post_attention_layernorm", x)
        query = self.linear(normed, f"layers.{i}/encoder_attn/q_proj")
        return self._attended(self._in_heads(query, self._heads), f"frames.{i}", mask)

    def _heard(self, name: str, x: str, attended: str) -> str:
        return self.op("Add", x, self.linear(attended, f"{name}/o_proj"))

    def _attended(self, query: str, memory: str, mask: str) -> str:
        scores = self.op(
            "FusedMatMul",
            query,
            f"{memory}.key",
            domain=MICROSOFT,
            transB=1,
            alpha=float(self._width**-0.5),
        )
        shares = self.op("Softmax", self.op("Add", scores, mask), axis=-1)
        found = self.op("MatMul", shares, f"{memory}.value")
        return self.op("Reshape", found, self.constant(np.array([0, self._hidden])))

    def _fed_forward(self, layer: str, x: str) -> str:
        wide = self.linear(self._normed(f"{layer}/final_layernorm", x), f"{layer}/mlp/fc1")
        value, gate = self.several("Split", wide, outputs=2, axis=1, num_outputs=2)
        gated = self.op("Mul", self.op("QuickGelu", gate, domain=MICROSOFT, alpha=1.0), value)
        return self.op("Add", x, self.linear(gated, f"{layer}/mlp/fc2"))

    def _normed(self, name: str, x: str) -> str:
        norm = self._source.norm(name)
        weight, bias = self.constant(norm.weight), self.constant(norm.bias)
        return self.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=norm.epsilon)

    def linear(self, x: str, *names: str) -> str:
        """x float32 [row, n] times the weights of these layers side by side, of which one may have a bias."""
        parts = [self._source.linear(name) for name in names]
        weight = np.concatenate([part.weight for part in parts], axis=1)
        bias = [self.constant(part.bias) for part in parts if part.bias is not None]
        scales = [np.broadcast_to(p.scale, p.weight.shape[1]) for p in parts if p.scale is not None]
        zeros = [np.broadcast_to(p.zero, p.weight.shape[1]) for p in parts if p.zero is not None]
        if not scales:
            result = self.op("MatMul", x, self.constant(weight))
            return self.op("Add", result, *bias) if bias else result
        if self._alone:
            zero = _one(np.concatenate(zeros))
            inputs = (weight, np.concatenate(scales), zero)
            names_ = [self.constant(value) for value in inputs]
            return self.op("DynamicQuantizeMatMul", x, *names_, *bias, domain=MICROSOFT)
        result = self._row_by_row(x, weight, np.concatenate(scales), np.concatenate(zeros))
        return self.op("Add", result, *bias) if bias else result

    def _row_by_row(self, x: str, weight: Array, scales: Array, zeros: Array) -> str:
        """Each row quantised by itself, as DynamicQuantizeLinear defines it, times `weight`.

        A row's zero point, for which MatMulInteger has one value for all rows, is taken off afterwards by
        the columns' sums, exactly, in whole numbers.
        """
        rows, zero = self.constant(np.array([1])), self.scalar(0)
        high = self.op("Max", self.op("ReduceMax", x, rows, keepdims=0), zero)
        low = self.op("Min", self.op("ReduceMin", x, rows, keepdims=0), zero)
        scale = self.op("Div", self.op("Sub", high, low), self.scalar(255))
        offset = self.op("Cast", self.op("Round", self.op("Div", self.op("Neg", low), scale)), to=_UINT8)
        quantised = self.op("QuantizeLinear", x, scale, offset, axis=0)
        inputs = (quantised, self.constant(weight), "", self.constant(_one(zeros)))
        product = self.op("MatMulInteger", *inputs)
        sums = (weight.astype(np.int32) - zeros.astype(np.int32)).sum(0, dtype=np.int32)
        offsets = self.op("Unsqueeze", self.op("Cast", offset, to=_INT32), rows)
        product = self.op("Sub", product, self.op("Mul", offsets, self.constant(sums)))
        scale = self.op("Mul", self.op("Unsqueeze", scale, rows), self.constant(scales))
        return self.op("Mul", self.op("Cast", product, to=_FLOAT), scale)

    def _in_heads(self, x: str, heads: int) -> str:
        return self.op("Reshape", x, self.constant(np.array([0, heads, 1, self._width])))


def _one(zeros: Array) -> Array:
    """A scalar where all are the same, for which there are faster kernels."""
    return zeros[:1].reshape(()) if (zeros == zeros[0]).all() else zeros
