"""A pass that writes convolutions over time as the kind that processors have the best kernels for.

A Conv over time becomes one over a plane that is one row high: the same sums, by kernels that were made for
pictures. A ConvTranspose becomes a convolution to as many times the channels as it has steps, which are then
laid one behind the other (sub-pixel convolution; Shi et al., "Real-Time Single Image and Video
Super-Resolution", CVPR 2016): ONNX Runtime has no kernel in 8 bits for the transposed one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.passes.kind import Material, attributes, consumers

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

BY_VALUE = frozenset({"LeakyRelu", "Relu", "Tanh", "Sigmoid", "Add", "Sub", "Mul", "Div"})
"""operators that do the same to a plane as to its one row"""


def conv2d(model: ModelProto, material: Material) -> ModelProto:
    """Every Conv over time, and each ConvTranspose that gives a multiple of what it takes."""
    graph = model.graph
    nodes = list(graph.node)
    planes = _Planes(model)
    del graph.node[:]
    for node in nodes:
        if node.name in material.kept or not planes.take(node):
            planes.leave(node)
    for value in graph.output:
        planes.row(value.name)
    del graph.value_info[:]  # shapes of what lies between, which have changed
    return model


class _Planes:
    """The graph as it is written anew: what was [batch, channels, time] is [batch, channels, 1, time]."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = model.graph
        self._weights = {weight.name: weight for weight in model.graph.initializer}
        self._alone = {name for name, nodes in consumers(model).items() if len(nodes) == 1}
        self._plane: dict[str, str] = {}
        """tensor → the same as a plane"""
        self._rows = {value.name for value in model.graph.input}
        """tensors that are there as they were"""

    def take(self, node: NodeProto) -> bool:
        """Whether a node could be written over planes, and was."""
        if node.op_type in ("Conv", "ConvTranspose"):
            weight = self._weights.get(node.input[1])
            if weight is None or len(weight.dims) != 3 or weight.name not in self._alone:
                return False
            return self._conv(node) if node.op_type == "Conv" else self._transposed(node)
        if node.op_type in BY_VALUE and any(name in self._plane for name in node.input):
            if not all(name in self._plane or self._single(name) for name in node.input):
                return False
            self._add(node, [self._plane.get(name, name) for name in node.input], **attributes(node))
            return True
        if node.op_type == "Slice" and node.input[0] in self._plane and self._along_time(node):
            axis = self._constant("time of a plane", np.array([3]))
            self._add(node, [self._plane[node.input[0]], *node.input[1:3], axis, *node.input[4:]])
            return True
        return False

    def leave(self, node: NodeProto) -> None:
        """A node as it was, on tensors as they were."""
        for name in node.input:
            self.row(name)
        self._graph.node.append(node)
        self._rows.update(node.output)

    def row(self, name: str) -> None:
        """See that a tensor is there as it was."""
        if name in self._plane and name not in self._rows:
            self._node("Squeeze", [self._plane[name], self._constant("row", np.array([2]))], name)
            self._rows.add(name)

    def _conv(self, node: NodeProto) -> bool:
        given = attributes(node)
        if given.get("auto_pad", b"NOTSET") != b"NOTSET":
            return False
        begin, end = given.get("pads", [0, 0])
        weight = self._value(node.input[1])[:, :, np.newaxis]
        self._put(node.input[1], weight)
        self._add(
            node,
            [self._of(node.input[0]), *node.input[1:]],
            kernel_shape=[1, weight.shape[3]],
            pads=[0, begin, 0, end],
            strides=[1, *given.get("strides", [1])],
            dilations=[1, *given.get("dilations", [1])],
            group=given.get("group", 1),
        )
        return True

    def _transposed(self, node: NodeProto) -> bool:
        given = attributes(node)
        weight = self._value(node.input[1])
        stride, (begin, end) = given.get("strides", [1])[0], given.get("pads", [0, 0])
        into, out, size = weight.shape
        usual = given.get("group", 1) == 1 and given.get("dilations", [1]) == [1]
        usual = usual and not any(given.get("output_padding", [0])) and "output_shape" not in given
        biased = len(node.input) > 2 and node.input[2]
        if biased and not (node.input[2] in self._weights and node.input[2] in self._alone):
            return False
        if not usual or size - stride != begin + end or given.get("auto_pad", b"NOTSET") != b"NOTSET":
            return False
        # sample q·stride + r is a sum over input n and weight j of which n·stride + j = q·stride + r + begin
        taps = [
            ((r + begin - j) // stride, r, j)
            for r in range(stride)
            for j in range(size)
            if (r + begin - j) % stride == 0
        ]
        first, last = min(n for n, _, _ in taps), max(n for n, _, _ in taps)
        steps = np.zeros((stride, out, into, last - first + 1), np.float32)
        for n, r, j in taps:
            steps[r, :, :, n - first] = weight[:, :, j].T
        self._put(node.input[1], steps.reshape(stride * out, into, 1, -1))
        if biased:
            self._put(node.input[2], np.tile(self._value(node.input[2]), stride))
        name = node.output[0]
        self._node(
            "Conv",
            [self._of(node.input[0]), *node.input[1:]],
            f"{name}/steps",
            node.name,
            kernel_shape=[1, last - first + 1],
            pads=[0, max(0, -first), 0, max(0, last)],
        )
        apart = self._constant(f"{name}/apart", np.array([0, stride, out, -1]))
        joined = self._constant(f"{name}/joined", np.array([0, out, 1, -1]))
        self._node("Reshape", [f"{name}/steps", apart], f"{name}/by step")
        self._node("Transpose", [f"{name}/by step"], f"{name}/by time", perm=[0, 2, 3, 1])
        self._plane[name] = f"{name}/plane"
        self._node("Reshape", [f"{name}/by time", joined], self._plane[name])
        return True

    def _along_time(self, node: NodeProto) -> bool:
        axes = self._weights.get(node.input[3]) if len(node.input) > 3 else None
        return axes is not None and self._value(axes.name).tolist() in ([2], [-1])

    def _single(self, name: str) -> bool:
        weight = self._weights.get(name)
        return weight is not None and int(np.prod(weight.dims)) == 1 and len(weight.dims) < 4

    def _of(self, name: str) -> str:
        """A tensor as a plane."""
        if name not in self._plane:
            row = self._constant("row", np.array([2]))
            self._node("Unsqueeze", [name, row], f"{name}/plane")
            self._plane[name] = f"{name}/plane"
        return self._plane[name]

    def _add(self, node: NodeProto, inputs: list[str], **given: Any) -> None:
        self._plane[node.output[0]] = f"{node.output[0]}/plane"
        self._node(node.op_type, inputs, self._plane[node.output[0]], node.name, **given)

    def _node(self, kind: str, inputs: list[str], output: str, name: str = "", **given: Any) -> None:
        from onnx import helper

        self._graph.node.append(helper.make_node(kind, inputs, [output], name or output, **given))

    def _constant(self, name: str, value: Array) -> str:
        from onnx import numpy_helper

        if name not in self._weights:
            self._graph.initializer.append(numpy_helper.from_array(value, name))
            self._weights[name] = self._graph.initializer[-1]
        return name

    def _value(self, name: str) -> Array:
        from onnx import numpy_helper

        value: Array = numpy_helper.to_array(self._weights[name])
        return value

    def _put(self, name: str, value: Array) -> None:
        from onnx import numpy_helper

        self._weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))
