"""Moonshine's decoder, written anew for one step of several sequences, with the weights of a model file.

One network is for what is heard, once a sequence, and two are for a step: of one sequence, and of several.

Optimum's merged export spends much of a step on the shapes of its tensors, and its dynamic quantisation
(DynamicQuantizeLinear) takes one scale for a whole tensor, so that rows of a batch would change each other.
Here each row is quantised by itself, by the same arithmetic: a row's numbers are those of the export.
The network: transformers, modeling_moonshine.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sonorant.networks.onnx_file import MICROSOFT, Attribute, Node, onnx_file
from sonorant.networks.ort_format import OrtGraph, read
from sonorant.networks.signature import Array, Signature
from sonorant.networks.steps import POSITIONS

_UINT8, _INT32, _FLOAT = 2, 6, 1
"""types of the operator Cast (onnx.proto3, TensorProto.DataType)"""


BRANCH = "else_branch"
"""of the merged decoder's If: that of the first step has all the weights"""


def step_models(path: Path, memory: Signature, step: Signature) -> tuple[bytes, bytes, bytes]:
    """The .onnx models of the memory, of a step of several sequences, and of a step of one.

    path: a merged decoder, quantised, as .ort; signatures: `memory_signature`, `steps_signature`. Raises
    LookupError where the file's operators have other names, ValueError where it is of another kind.
    """
    source = read(path, BRANCH)
    together, alone = (_Step(source, step, alone=alone).model() for alone in (False, True))
    return _Memory(source, memory).model(), together, alone


class _Graph:
    """Nodes and weights, as they are added."""

    def __init__(self, source: OrtGraph, signature: Signature) -> None:
        self.source, self.signature = source, signature
        self.nodes: list[Node] = []
        self.weights: dict[str, Array] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def file(self) -> bytes:
        return onnx_file(self.nodes, self.weights, self.signature.inputs, self.signature.outputs)

    def quantised(self, name: str) -> dict[str, Array]:
        place = name if name.startswith("/") else f"/model/decoder/{name}"
        node = self.source.nodes[f"{place}/MatMul_quant"]
        weight, scale, zero, bias = {
            "MatMulIntegerToFloat": (1, 3, 5, 6),
            "DynamicQuantizeMatMul": (1, 2, 3, 4),
        }[node.op]
        found = {"weight": weight, "scale": scale, "zero": zero, "bias": bias}
        inputs = {kind: node.inputs[i] for kind, i in found.items() if i < len(node.inputs)}
        return {kind: self.source.weights[tensor] for kind, tensor in inputs.items() if tensor}

    def kept(self, name: str) -> str:
        self.weights[name] = self.source.weights[name]
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def constant(self, value: Array) -> str:
        """The name of a weight with this value."""
        key = (str(value.dtype), value.shape, value.tobytes())
        name = self._constants.setdefault(key, f"constant.{len(self._constants)}")
        self.weights[name] = value
        return name

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Attribute) -> str:
        """Add a node, whose output is called `name`; the output's name."""
        name = name or str(len(self.nodes))
        self.nodes.append(Node(kind, inputs, [name], domain, attributes))
        return name

    def split(self, x: str, *sizes: int) -> list[str]:
        """Parts of x along its second dimension."""
        parts = [f"{len(self.nodes)}.{i}" for i in range(len(sizes))]
        self.nodes.append(Node("Split", [x, self.constant(np.array(sizes))], parts, attributes={"axis": 1}))
        return parts


class _Memory(_Graph):
    """Keys and values of what is heard. As in the export, all frames are quantised by one scale."""

    def model(self) -> bytes:
        heard = [f"heard.{part}" for part in ("quantised", "scale", "offset")]
        self.nodes.append(Node("DynamicQuantizeLinear", ["hidden_states"], heard))
        for tensor in self.signature.outputs:
            _, layer, kv = tensor.name.split(".")
            part = self.quantised(f"layers.{layer}/encoder_attn/{kv[0]}_proj")
            scale, zero = self.constant(part["scale"]), self.constant(part["zero"])
            inputs = (heard[0], self.constant(part["weight"]), heard[1], scale, heard[2], zero)
            product = self.op("MatMulIntegerToFloat", *inputs, domain=MICROSOFT)
            heads = self.op("Reshape", product, self.constant(np.array([0, 0, *tensor.dims[1::2]])))
            self.op("Transpose", heads, name=tensor.name, perm=(0, 2, 1, 3))
        return self.file()


class _Step(_Graph):
    """One token further. `alone`: of one row only, whose layers need fewer operators."""

    def __init__(self, source: OrtGraph, signature: Signature, *, alone: bool) -> None:
        super().__init__(source, signature)
        self._alone = alone
        key = next(tensor for tensor in signature.inputs if tensor.name == "past.0.key")
        self._heads, self._width = int(str(key.dims[1])), int(str(key.dims[3]))
        self._hidden = self._heads * self._width

    def model(self) -> bytes:
        layers = sum(tensor.name.endswith(".key") for tensor in self.signature.inputs) // 2
        positions = self.op("Unsqueeze", "position", self.constant(np.array([1])))
        self._rotation()
        one = self.op("Expand", self.constant(np.ones(1, np.float32)), self.op("Shape", positions))
        self.op("Concat", "past_mask", one, axis=1, name="grown_mask")
        past, frames = self._hidden_where_zero("grown_mask"), self._hidden_where_zero("frames_mask")
        x = self._embedded()
        for i in range(layers):
            layer = f"layers.{i}"
            x = self._heard(f"{layer}/self_attn", x, self._own(i, x, positions, past))
            x = self._heard(f"{layer}/encoder_attn", x, self._others(i, x, frames))
            x = self._fed_forward(layer, x)
        self.op("Identity", self.linear(self._normed("norm", x), "/proj_out"), name="logits")
        best = self.op("ReduceMax", "logits", self.constant(np.array([1])), keepdims=1)
        away = self.op("Exp", self.op("Sub", "logits", best))
        total = self.op("ReduceSum", away, self.constant(np.array([1])), keepdims=0)
        self.op("Neg", self.op("Log", total), name="logprob")
        self.op("ArgMax", "logits", axis=1, keepdims=0, name="next")
        self.op("Add", "position", self.constant(np.array(1)), name="next_position")
        return self.file()

    def _embedded(self) -> str:
        table = self.source.nodes["/model/decoder/embed_tokens/Gather"].inputs[0]
        _, scale, zero = self.source.nodes[
            "/model/decoder/embed_tokens/Gather_output_0_DequantizeLinear"
        ].inputs
        found = self.op("Gather", self.kept(table), "token", axis=0)
        return self.op("DequantizeLinear", found, self.kept(scale), self.kept(zero))

    def _rotation(self) -> None:
        """Sines and cosines of every position."""
        frequencies = self.source.weights[self.source.nodes["/model/decoder/rotary_emb/Expand"].inputs[0]]
        angles = np.arange(POSITIONS, dtype=np.float32)[:, np.newaxis] * frequencies.reshape(1, -1)
        self.weights |= {"cosines": np.cos(angles), "sines": np.sin(angles)}

    def _hidden_where_zero(self, mask: str) -> str:
        """1 and 0 [row, n] → 0 and a number so low that softmax leaves it out, [row, 1, 1, n]."""
        low = self.op("Mul", self.op("Sub", mask, self.scalar(1)), self.scalar(1e9))
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
            self.op("Concat", f"past.{i}.{kv}", new, axis=2, name=f"grown.{i}.{kv}")
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
        half = self.quantised(f"{layer}/mlp/fc1")["weight"].shape[1] // 2
        value, gate = self.split(wide, half, half)
        gated = self.op("Mul", self.op("QuickGelu", gate, domain=MICROSOFT, alpha=1.0), value)
        return self.op("Add", x, self.linear(gated, f"{layer}/mlp/fc2"))

    def _normed(self, name: str, x: str) -> str:
        node = self.source.nodes[f"/model/decoder/{name}/LayerNormalization"]
        _, weight, bias = node.inputs
        epsilon = float(node.attributes["epsilon"])
        return self.op("LayerNormalization", x, self.kept(weight), self.kept(bias), axis=-1, epsilon=epsilon)

    def linear(self, x: str, *names: str) -> str:
        """x float32 [row, n] times the weights of these layers side by side, each row quantised by itself.

        As DynamicQuantizeLinear and MatMulInteger define it; the zero point, which has one value for all
        rows there, is taken off afterwards by the columns' sums, exactly, in whole numbers.
        """
        parts = [self.quantised(name) for name in names]
        weight = np.concatenate([part["weight"] for part in parts], axis=1)
        scales, zeros = (
            np.concatenate([np.broadcast_to(part[kind], part["weight"].shape[1]) for part in parts])
            for kind in ("scale", "zero")
        )
        uniform = zeros[:1].reshape(()) if (zeros == zeros[0]).all() else zeros
        bias = [self.constant(parts[0]["bias"])] if "bias" in parts[0] else []
        if self._alone:
            inputs = (self.constant(weight), self.constant(scales), self.constant(uniform), *bias)
            return self.op("DynamicQuantizeMatMul", x, *inputs, domain=MICROSOFT)
        rows = self.constant(np.array([1]))
        zero = self.scalar(0)
        high = self.op("Max", self.op("ReduceMax", x, rows, keepdims=0), zero)
        low = self.op("Min", self.op("ReduceMin", x, rows, keepdims=0), zero)
        scale = self.op("Div", self.op("Sub", high, low), self.scalar(255))
        offset = self.op("Cast", self.op("Round", self.op("Div", self.op("Neg", low), scale)), to=_UINT8)
        quantised = self.op("QuantizeLinear", x, scale, offset, axis=0)
        product = self.op("MatMulInteger", quantised, self.constant(weight), "", self.constant(uniform))
        sums = (weight.astype(np.int32) - zeros.astype(np.int32)).sum(0, dtype=np.int32)
        offsets = self.op("Unsqueeze", self.op("Cast", offset, to=_INT32), rows)
        product = self.op("Sub", product, self.op("Mul", offsets, self.constant(sums)))
        scale = self.op("Mul", self.op("Unsqueeze", scale, rows), self.constant(scales))
        result = self.op("Mul", self.op("Cast", product, to=_FLOAT), scale)
        return self.op("Add", result, *bias) if bias else result

    def _in_heads(self, x: str, heads: int) -> str:
        return self.op("Reshape", x, self.constant(np.array([0, heads, 1, self._width])))
