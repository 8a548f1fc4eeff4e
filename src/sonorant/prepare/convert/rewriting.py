"""What the rewritings of a graph have in common: nodes in others' place, constants, and what nobody needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from sonorant.networks.signature import Array


def constant(graph: GraphProto, name: str, value: Array | list[int] | int) -> str:
    """The name of a new weight; whole numbers are int64."""
    from onnx import numpy_helper

    array = value if isinstance(value, np.ndarray) else np.array(value, np.int64)
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def inside(node: NodeProto) -> set[str]:
    """What graphs in a node (the branches of an If) take, from outside among others."""
    found = set[str]()
    for attribute in node.attribute:
        found |= {value.name for value in attribute.g.output}
        for inner in attribute.g.node:
            found |= {*inner.input, *inside(inner)}
    return found


def put(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """These in place of all nodes, in any order; what then leads to no output of the graph is left out."""
    from onnx import GraphProto

    given = list(nodes)
    makers = {name: node for node in given for name in node.output}
    needed = set[int]()
    waiting = [output.name for output in graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and id(node) not in needed:
            needed.add(id(node))
            waiting += [*node.input, *inside(node)]
    holder = GraphProto()  # copies: clearing the field ends the nodes that were in it
    holder.node.extend(node for node in given if id(node) in needed)
    del graph.node[:]
    graph.node.extend(holder.node)
