"""Zeros that are added for nothing, taken out.

`x + torch.zeros_like(x)` is exported as it is written: Shape, ConstantOfShape, Add. VITS has it in each layer
of its flow, where a voice has no speakers. TensorRT for RTX takes such zeros for the bias of the convolution
before them, and its compiler stops ("nbdims_bias == 4 || nbdims_bias == 5").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonorant.prepare.convert.rewriting import inside, put
from sonorant.prepare.passes.kind import copied

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def neutral(model: ModelProto) -> ModelProto:
    """A copy of `model` without the additions of zeros in the size of what they are added to."""
    copy = copied(model)
    graph = copy.graph
    named = {value.name for value in graph.output}.union(*map(inside, graph.node))
    """what is asked for by name elsewhere"""
    sizes: dict[str, str] = {}
    """a shape → the tensor that has it"""
    zeros: dict[str, str] = {}
    """zeros → the tensor that has their shape"""
    same: dict[str, str] = {}
    """a sum → what it equals"""
    nodes: list[NodeProto] = []
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Shape" and not node.attribute:
            sizes[node.output[0]] = node.input[0]
        elif node.op_type == "ConstantOfShape" and node.input[0] in sizes and _is_zero(node):
            zeros[node.output[0]] = sizes[node.input[0]]
        elif node.op_type == "Add" and node.output[0] not in named:
            x, y = node.input
            if zeros.get(y) == x or zeros.get(x) == y:
                same[node.output[0]] = x if zeros.get(y) == x else y
                continue
        nodes.append(node)
    if same:
        put(graph, nodes)
    return copy


def _is_zero(node: NodeProto) -> bool:
    from onnx import numpy_helper

    return not any(numpy_helper.to_array(attribute.t).any() for attribute in node.attribute)
