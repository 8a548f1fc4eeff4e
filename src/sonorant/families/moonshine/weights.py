"""The weights of Moonshine's decoder in a merged export, by the names of what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sonorant.networks.ort_format import OrtGraph
from sonorant.networks.signature import Array

DECODER = "/model/decoder/"


@dataclass(frozen=True, slots=True)
class Linear:
    """x · weight + bias."""

    weight: Array
    """[in, out], float32, or 8 bit where `scale` and `zero` are there"""
    bias: Array | None = None
    scale: Array | None = None
    """float32, one; activations are quantised, too, as they come"""
    zero: Array | None = None
    """8 bit, one"""


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation."""

    weight: Array
    bias: Array
    epsilon: float


class Weights(Protocol):
    """Names are those of transformers' modules below model.decoder, with slashes. LookupError for others."""

    quantised: bool
    """whether activations are"""
    frequencies: Array
    """of the rotary embedding, radians per position, float32 [n]"""

    def linear(self, name: str) -> Linear: ...

    def norm(self, name: str) -> Norm: ...

    def embedding(self) -> Linear:
        """weight [vocabulary, hidden]; an entry is (weight − zero) × scale."""
        ...


def weights_of(source: OrtGraph) -> Weights:
    """Of the first step's branch, which has all of them. LookupError where they are under other names."""
    return EightBit(source) if "/proj_out/MatMul_quant" in source.nodes else EightBitWeights(source)


class EightBit:
    """Weights and activations of 8 bits (onnxruntime's quantize_dynamic): csukuangfj's tiny."""

    quantised = True

    def __init__(self, source: OrtGraph) -> None:
        self._source = source
        self.frequencies = _value(source, f"{DECODER}rotary_emb/Expand", 0).reshape(-1)

    def linear(self, name: str) -> Linear:
        place = "/proj_out" if name == "proj_out" else DECODER + name
        node = self._source.nodes[f"{place}/MatMul_quant"]
        weight, scale, zero, bias = {
            "MatMulIntegerToFloat": (1, 3, 5, 6),
            "DynamicQuantizeMatMul": (1, 2, 3, 4),
        }[node.op]
        values = self._source.weights
        added = values[node.inputs[bias]] if len(node.inputs) > bias and node.inputs[bias] else None
        return Linear(
            values[node.inputs[weight]], added, values[node.inputs[scale]], values[node.inputs[zero]]
        )

    def norm(self, name: str) -> Norm:
        place = f"{DECODER}{name}/LayerNormalization"
        epsilon = self._source.nodes[place].attributes["epsilon"]
        return Norm(_value(self._source, place, 1), _value(self._source, place, 2), float(epsilon))

    def embedding(self) -> Linear:
        place = f"{DECODER}embed_tokens/Gather_output_0_DequantizeLinear"
        table = _value(self._source, f"{DECODER}embed_tokens/Gather", 0)
        scale, zero = (_value(self._source, place, i) for i in (1, 2))
        return Linear(table, None, scale, zero)


_OTHER_NAMES = {"o_proj": "dense", "fc1": "up_proj", "fc2": "down_proj"}


class EightBitWeights:
    """Weights of 8 bits, made float32 in every step: UsefulSensors' base. Here they are made so once."""

    quantised = False

    def __init__(self, source: OrtGraph) -> None:
        self._source = source
        self.frequencies = _value(source, f"{DECODER}rotary_emb/MatMul", 0).reshape(-1)

    def linear(self, name: str) -> Linear:
        if name == "proj_out":
            return Linear(np.ascontiguousarray(self.embedding().weight.T))
        module, _, last = name.rpartition("/")
        place = f"{DECODER}{module}/{_OTHER_NAMES.get(last, last)}"
        weight = self._floats(self._source.nodes[f"{place}/MatMul"].inputs[1])
        bias = _value(self._source, f"{place}/Add", 0) if f"{place}/Add" in self._source.nodes else None
        return Linear(weight, bias)

    def norm(self, name: str) -> Norm:
        weight = _value(self._source, f"{DECODER}{name}/Mul", 1)
        epsilon = _value(self._source, f"{DECODER}{name}/Add", 1)
        return Norm(weight, np.zeros_like(weight), float(epsilon))

    def embedding(self) -> Linear:
        return Linear(self._floats(self._source.nodes[f"{DECODER}embed_tokens/Gather"].inputs[0]))

    def _floats(self, tensor: str) -> Array:
        values, name = self._source.weights, tensor.removesuffix("_add_tensor")
        quantised = values[f"{name}_quantized"].astype(np.float32)
        return np.asarray(quantised * values[f"{name}_scale"] + values[f"{name}_zero_point"], np.float32)


def _value(source: OrtGraph, node: str, i: int) -> Array:
    return source.weights[source.nodes[node].inputs[i]]
