"""A pass that takes out whole channels: the network stays dense, and every engine is faster for it.

Channels lie between a layer and the next one: what one gives in them, the other takes. Only where nothing
else looks at them can they go, so pairs are looked for in which one layer feeds the other through operators
that treat each value by itself. A residual sum or a concatenation between them ends the search.

The quietest channels go first (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017). A network
that was pruned much needs to be trained on: `sonorant.prepare.pruned` cuts a checkpoint alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.passes.kind import CHANNELS_GIVEN, CHANNELS_TAKEN, Material, consumers
from sonorant.prepare.pruned import Cut, noted

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_BY_VALUE = frozenset(
    {"Relu", "LeakyRelu", "Tanh", "Sigmoid", "Elu", "Gelu", "Erf", "Clip", "Identity", "Softplus"}
)
FEWEST = 4
"""channels that are left at least, and a multiple of which is left: kernels work on several at once"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers, and the channels between them."""

    first: str
    """the weight of the layer that gives them"""
    out: int
    """their dimension in it"""
    bias: str
    """"" = none"""
    second: str
    into: int


def prune(model: ModelProto, material: Material, *, ratio: float) -> ModelProto:
    """Take the quietest `ratio` of the channels out of every pair of layers, but those that are kept."""
    import onnx

    weights = {weight.name: weight for weight in model.graph.initializer}
    cuts: list[Cut] = []
    for pair in list(_pairs(model, weights, material.kept)):
        kept = channels(pair, weights, ratio)
        for name, axis in ((pair.first, pair.out), (pair.bias, 0), (pair.second, pair.into)):
            if name:
                whole = onnx.numpy_helper.to_array(weights[name])
                cuts.append(Cut(name, name, axis, whole.shape[axis], tuple(kept.tolist()), "channels"))
                less = np.take(whole, kept, axis=axis)
                weights[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(less), name))
    del model.graph.value_info[:]  # shapes of what lies between, which have changed
    return noted(model, cuts)


def channels(pair: Pair, weights: dict[str, TensorProto], ratio: float) -> Array:
    """The indices of those that stay: int64 [n], ascending."""
    import onnx

    first = onnx.numpy_helper.to_array(weights[pair.first])
    second = onnx.numpy_helper.to_array(weights[pair.second])
    loudness = np.abs(np.moveaxis(first, pair.out, 0)).reshape(first.shape[pair.out], -1).sum(1)
    loudness = loudness * np.abs(np.moveaxis(second, pair.into, 0)).reshape(len(loudness), -1).sum(1)
    left = max(FEWEST, round((1 - ratio) * len(loudness) / FEWEST) * FEWEST)
    quietest: Array = np.sort(np.argsort(-loudness, kind="stable")[:left])
    return quietest


def _pairs(model: ModelProto, weights: dict[str, TensorProto], kept: frozenset[str]) -> Iterator[Pair]:
    taken = consumers(model)
    outputs = {value.name for value in model.graph.output}
    alone = {
        name for name, nodes in taken.items() if len(nodes) == 1 and list(nodes[0].input).count(name) == 1
    }

    def usable(node: NodeProto) -> bool:
        grouped = any(attribute.name == "group" and attribute.i != 1 for attribute in node.attribute)
        mine = len(node.input) > 1 and node.input[1] in weights and node.input[1] in alone
        return node.op_type in CHANNELS_GIVEN and mine and not grouped and node.name not in kept

    for node in model.graph.node:
        if not usable(node) or (node.op_type == "MatMul" and len(weights[node.input[1]].dims) != 2):
            continue
        bias = node.input[2] if len(node.input) > 2 else ""
        x = node.output[0]
        while x in alone and x not in outputs:
            following = taken[x][0]
            other = next((name for name in following.input if name != x), "")
            if following.op_type == "Add" and node.op_type == "MatMul" and not bias and other in weights:
                if len(weights[other].dims) != 1:
                    break
                bias = other
            elif following.op_type not in _BY_VALUE:
                break
            x = following.output[0]
        if x not in alone or x in outputs or (bias and (bias not in weights or bias not in alone)):
            continue
        after = taken[x][0]
        same = (after.op_type == "MatMul") == (node.op_type == "MatMul")
        if usable(after) and same and after.input[0] == x:
            yield Pair(
                node.input[1],
                CHANNELS_GIVEN[node.op_type],
                bias,
                after.input[1],
                CHANNELS_TAKEN[after.op_type],
            )
