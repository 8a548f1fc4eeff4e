"""A pass that makes the channels between convolutions equally loud, so that 8 bits can tell more apart.

A factor for each channel goes into the layers that give it, and out of those that take it. That changes
nothing where only such operators lie between for which f(s·x) = s·f(x), as it is for LeakyRelu, sums and
residual branches (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019). Half of how channels differ is moved into the weights (Xiao et al., "SmoothQuant", ICML 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.passes.kind import (
    CHANNELS_GIVEN,
    CHANNELS_TAKEN,
    Material,
    attributes,
    consumers,
)
from sonorant.prepare.passes.ranges import real, values

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_LINEAR = frozenset({"LeakyRelu", "Relu", "Identity", "Add", "Sub", "Div", "Mul", "Slice"})
MOVED = 0.5
"""of the difference between channels (its exponent) that goes into the weights"""
QUIETEST = 1e-3
"""of the loudest channel: quieter ones are not made louder than by what this one would be"""


@dataclass(slots=True)
class Group:
    """Tensors whose channels are the same, and the layers around them."""

    givers: list[NodeProto] = field(default_factory=list)
    takers: list[NodeProto] = field(default_factory=list)

    @property
    def tensors(self) -> list[str]:
        return [node.output[0] for node in self.givers] + [node.input[0] for node in self.takers]


def equalise(model: ModelProto, material: Material) -> ModelProto:
    """Every group of channels that only convolutions give and take.

    Raises RequestError where there are no real feeds.
    """
    weights = {weight.name: weight for weight in model.graph.initializer}
    found = list(groups(model, material.kept))
    wanted = list(dict.fromkeys(name for group in found for name in group.tensors))
    loudest: dict[str, Array] = {}
    for name, value in values(model, real(material.feeds), wanted):
        by_channel = np.abs(value).max(axis=(0, *range(2, value.ndim)))
        loudest[name] = np.maximum(loudest.get(name, by_channel), by_channel)
    for group in found:
        levels = [loudest[name] / max(float(loudest[name].max()), 1e-30) for name in group.tensors]
        factors = np.exp(-MOVED * np.mean(np.log(np.maximum(levels, QUIETEST)), axis=0))
        factors /= np.exp(np.log(factors).mean())
        for node in group.givers:
            _scale(weights[node.input[1]], CHANNELS_GIVEN[node.op_type], factors)
            if len(node.input) > 2 and node.input[2]:
                _scale(weights[node.input[2]], 0, factors)
        for node in group.takers:
            _scale(weights[node.input[1]], CHANNELS_TAKEN[node.op_type], 1 / factors)
    return model


def groups(model: ModelProto, kept: frozenset[str] = frozenset()) -> Iterator[Group]:
    """Tensors that are joined by operators between, where nothing else looks at any of them."""
    weights = {weight.name: weight for weight in model.graph.initializer}
    alone = {name for name, nodes in consumers(model).items() if len(nodes) == 1}
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while joined.setdefault(name, name) != name:
            name = joined[name]
        return name

    layers: list[NodeProto] = []
    others = {value.name for value in (*model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        if node.name not in kept and _layer(node, weights, alone):
            layers.append(node)
        elif _between(node, weights):
            for name in node.input[:1] if node.op_type == "Slice" else node.input:
                if name not in weights:
                    joined[root(name)] = root(node.output[0])
        else:
            others.update(node.input, node.output)
    found: dict[str, Group] = {}
    for node in layers:
        found.setdefault(root(node.output[0]), Group()).givers.append(node)
        found.setdefault(root(node.input[0]), Group()).takers.append(node)
    closed = {root(name) for name in others}
    for name, group in found.items():
        channels = {weights[node.input[1]].dims[CHANNELS_GIVEN[node.op_type]] for node in group.givers}
        channels |= {weights[node.input[1]].dims[CHANNELS_TAKEN[node.op_type]] for node in group.takers}
        if name not in closed and group.givers and group.takers and len(channels) == 1:
            yield group


def _layer(node: NodeProto, weights: dict[str, TensorProto], alone: set[str]) -> bool:
    if node.op_type not in ("Conv", "ConvTranspose") or attributes(node).get("group", 1) != 1:
        return False
    return all(name in weights and name in alone for name in node.input[1:] if name)


def _between(node: NodeProto, weights: dict[str, TensorProto]) -> bool:
    """Whether a factor for each channel passes through the operator."""
    if node.op_type not in _LINEAR:
        return False
    constant = [name in weights for name in node.input]
    if node.op_type == "Slice":
        axes = weights.get(node.input[3]) if len(node.input) > 3 else None
        return axes is not None and not {0, 1} & set(_whole(axes)) and min(_whole(axes)) >= 0
    if node.op_type == "Mul":
        return sum(constant) == 1
    if node.op_type == "Div":
        return constant == [False, True]
    return not any(constant)


def _whole(axes: TensorProto) -> list[int]:
    from onnx import numpy_helper

    found: list[int] = numpy_helper.to_array(axes).reshape(-1).tolist()
    return found


def _scale(weight: TensorProto, axis: int, factors: Array) -> None:
    from onnx import numpy_helper

    value = numpy_helper.to_array(weight)
    shape = [-1 if i == axis else 1 for i in range(value.ndim)]
    scaled = (value * factors.reshape(shape)).astype(value.dtype)
    weight.CopyFrom(numpy_helper.from_array(scaled, weight.name))
