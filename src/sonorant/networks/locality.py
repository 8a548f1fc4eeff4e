"""Which operators of an ONNX graph are local in time, and what of their inputs some of their output needs.

Reading a graph backwards with this tells its receptive field: a convolution looks as far as its kernel,
most operators look nowhere, and one that mixes all time (attention, a norm over time, recurrence) or draws
noise ends the reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

HEAVY = frozenset({"Conv", "ConvTranspose", "MatMul"})
"""what a network's time is spent in"""

_SMALL = 4096
"""bytes of a weight that may be a shape or an axis"""

# fmt: off
_ELEMENTWISE = frozenset((
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp",
    "Floor", "Gelu", "Greater", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "Log", "Max",
    "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu",
    "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu",
    "Where",
    "BatchNormalization",  # by the statistics of the training
    "Shape",  # only ever reached from ConstantOfShape
))
_ALONG_AN_AXIS = frozenset((
    "LayerNormalization", "LogSoftmax", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "Softmax",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class Demand:
    """What some of the network's output needs of a tensor: steps [low, high) along its time axis."""

    axis: int
    rank: int
    low: int
    high: int
    scale: Fraction
    """steps of the output per step of this tensor"""
    excess: Fraction
    """the output's length less scale × this tensor's length"""

    def joined(self, other: Demand) -> Demand | None:
        """Both; None where they do not measure the tensor in the same way."""
        if replace(self, low=0, high=0) != replace(other, low=0, high=0):
            return None
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))


class Graph:
    """A model's graph with what is looked up in it."""

    def __init__(self, model: ModelProto) -> None:
        import onnx

        self.nodes = list(model.graph.node)
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.constants = set(self.weights)
        for node in self.nodes:
            if _is_constant(node, self.constants):
                self.constants.update(node.output)
        self.producers = {name: node for node in self.nodes for name in node.output}
        self._model = model
        self._numpy: Callable[[Any], Any] = onnx.numpy_helper.to_array

    @cached_property
    def types(self) -> dict[str, Any]:
        """name → onnx TypeProto, as far as onnx infers them"""
        from onnx import ModelProto, helper, shape_inference

        bare = ModelProto()
        bare.CopyFrom(self._model)
        bare.graph.ClearField("initializer")
        for name, weight in self.weights.items():  # their values are megabytes, and few of them matter
            if len(weight.raw_data) <= _SMALL:
                bare.graph.initializer.append(weight)
            else:
                bare.graph.input.append(helper.make_tensor_value_info(name, weight.data_type, weight.dims))
        graph = shape_inference.infer_shapes(bare).graph
        return {v.name: v.type for values in (graph.value_info, graph.input, graph.output) for v in values}

    def shape(self, name: str) -> list[int] | None:
        """Sizes, 0 = any; None where the rank is unknown."""
        kind = self.types.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        return [dim.dim_value for dim in kind.tensor_type.shape.dim]

    def measures(self, name: str) -> bool:
        """Whether it is the shape of a tensor: what is made from it is as long as that."""
        return name in self.producers and self.producers[name].op_type == "Shape"

    def is_fixed(self, name: str, demand: Demand) -> bool:
        """Whether the tensor is the same at all times: it has no time axis, or one step along it."""
        shape = None if self.measures(name) else self.shape(name)
        return shape is not None and (len(shape) != demand.rank or shape[demand.axis] == 1)

    def values(self, name: str) -> list[int] | None:
        """Of a constant of whole numbers; None where it is computed."""
        if name in self.weights:
            return [int(v) for v in self._numpy(self.weights[name]).reshape(-1)]
        node = self.producers.get(name)
        if node is None or node.op_type != "Constant" or not node.attribute[0].HasField("t"):
            return None
        return [int(v) for v in self._numpy(node.attribute[0].t).reshape(-1)]

    def setting(self, node: NodeProto, name: str, place: int) -> list[int] | None:
        """Whole numbers that a node has as an attribute or, in later opsets, as an input."""
        if len(node.input) > place and node.input[place]:
            return self.values(node.input[place])
        found = attributes(node).get(name)
        return None if found is None else [int(v) for v in found]

    def ancestors(self, outputs: Iterable[str], given: Iterable[str] = ()) -> list[int]:
        """The places, in order, of the nodes that `outputs` need beside the tensors that are `given`."""
        known = set(given)
        wanted = set(outputs) - known
        found = []
        for i in range(len(self.nodes) - 1, -1, -1):
            if wanted.intersection(self.nodes[i].output):
                found.append(i)
                wanted |= consumed(self.nodes[i]) - known
        return found[::-1]


def consumed(node: NodeProto) -> set[str]:
    """Names that a node takes, in graphs inside it as well."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for inner in [attribute.g, *attribute.graphs]:
            names |= {name for part in inner.node for name in consumed(part)}
            names |= {value.name for value in inner.output}
    return names


def attributes(node: NodeProto) -> dict[str, Any]:
    """name → value"""
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def needed(node: NodeProto, demand: Demand, graph: Graph) -> dict[str, Demand] | None:
    """What a node needs of its inputs that are no constants; None where it is not local in time."""
    kind = node.op_type
    inputs = [name for name in node.input if name and name not in graph.constants]
    if kind in _ELEMENTWISE or (kind == "ConstantOfShape" and graph.measures(node.input[0])):
        return dict.fromkeys(inputs, demand)
    if kind in ("Conv", "ConvTranspose"):
        found = _convolution(node, demand, graph)
        return None if found is None or inputs != [node.input[0]] else {node.input[0]: found}
    local = _LOCAL.get(kind) or (_along if kind in _ALONG_AN_AXIS else None)
    found = local(node, demand, graph) if local else None
    return None if found is None else dict.fromkeys(inputs, found)


def _is_constant(node: NodeProto, constants: set[str]) -> bool:
    if node.op_type == "Constant":
        return True
    drawn = node.op_type.startswith(("Random", "Multinomial", "Bernoulli"))
    inside = any(a.HasField("g") for a in node.attribute)
    return not drawn and not inside and bool(node.input) and all(n in constants for n in node.input if n)


def _convolution(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    given = attributes(node)
    at, dims = demand.axis - 2, demand.rank - 2
    kernel = given.get("kernel_shape")
    if kernel is None and node.input[1] in graph.weights:
        kernel = list(graph.weights[node.input[1]].dims)[2:]
    if at < 0 or kernel is None or given.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in given:
        return None
    size = (kernel[at] - 1) * (given.get("dilations") or [1] * dims)[at]
    """steps from a kernel's first tap to its last"""
    step = (given.get("strides") or [1] * dims)[at]
    pads = given.get("pads") or [0] * 2 * dims
    before, after = pads[at], pads[at + dims]
    if node.op_type == "Conv":
        # a further step of output for each `step` of input, as long as the input is a multiple of it
        longer = Fraction(before + after - size - 1, step) + 1
        if step > 1:
            longer = Fraction(math.floor(longer))
        return replace(
            demand,
            low=demand.low * step - before,
            high=(demand.high - 1) * step - before + size + 1,
            scale=demand.scale / step,
            excess=demand.excess + demand.scale * longer,
        )
    longer = Fraction(size + 1 - step - before - after + (given.get("output_padding") or [0] * dims)[at])
    return replace(
        demand,
        low=math.ceil(Fraction(demand.low + before - size, step)),
        high=math.floor(Fraction(demand.high - 1 + before, step)) + 1,
        scale=demand.scale * step,
        excess=demand.excess + demand.scale * longer,
    )


def _without_time(axes: list[int] | None, demand: Demand) -> Demand | None:
    if axes is None or demand.axis in [axis % demand.rank for axis in axes]:
        return None
    return demand


def _along(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    given = attributes(node)
    if node.op_type == "LayerNormalization":
        first = int(given.get("axis", -1)) % demand.rank
        return _without_time(list(range(first, demand.rank)), demand)
    if "Softmax" in node.op_type:
        return _without_time([int(given.get("axis", -1))], demand)
    return _without_time(graph.setting(node, "axes", 1), demand) if given.get("keepdims", 1) else None


def _slice(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    return _without_time(graph.setting(node, "axes", 3), demand)


def _split(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    return _without_time([int(attributes(node).get("axis", 0))], demand)


def _pad(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    pads, axes = graph.setting(node, "pads", 1), graph.setting(node, "axes", 3)
    if pads is None or len(pads) != 2 * len(axes or range(demand.rank)):
        return None
    places = [axis % demand.rank for axis in axes or range(demand.rank)]
    if demand.axis not in places:
        return demand
    at = places.index(demand.axis)
    before, after = pads[at], pads[at + len(places)]
    return replace(
        demand,
        low=demand.low - before,
        high=demand.high - before,
        excess=demand.excess + demand.scale * (before + after),
    )


def _transpose(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    order = attributes(node).get("perm") or list(range(demand.rank))[::-1]
    return replace(demand, axis=order[demand.axis])


def _unsqueeze(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    axes = graph.setting(node, "axes", 1)
    if _without_time(axes, demand) is None or axes is None:
        return None
    before = sum(axis % demand.rank < demand.axis for axis in axes)
    return replace(demand, axis=demand.axis - before, rank=demand.rank - len(axes))


def _squeeze(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    axes = graph.setting(node, "axes", 1)
    if axes is None:
        return None
    rank = demand.rank + len(axes)
    gone = {axis % rank for axis in axes}
    kept = [axis for axis in range(rank) if axis not in gone]
    return replace(demand, axis=kept[demand.axis], rank=rank)


def _matmul(node: NodeProto, demand: Demand, graph: Graph) -> Demand | None:
    """Channels by a matrix, where time is not the last axis."""
    return demand if node.input[1] in graph.constants and demand.axis < demand.rank - 1 else None


_LOCAL: dict[str, Callable[[Any, Demand, Graph], Demand | None]] = {
    "Slice": _slice,
    "Split": _split,
    "Concat": _split,
    "Pad": _pad,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "MatMul": _matmul,
}
