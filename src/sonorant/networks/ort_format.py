"""Reading the weights and operators of an .ort file, ONNX Runtime's own format.

It is a FlatBuffer (onnxruntime/core/flatbuffers/schema/ort.fbs has the tables). ONNX Runtime's package has a
reader for it, which imports torch where that is installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sonorant.networks.flatbuffer import Table
from sonorant.networks.signature import Array

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64"}
_FLOAT, _INT, _GRAPH = 1, 2, 5
"""types of attributes"""


@dataclass(frozen=True, slots=True)
class Operator:
    """A node of the graph."""

    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, int | float]


@dataclass(frozen=True, slots=True)
class OrtGraph:
    """A graph, and with it those inside it of one name."""

    weights: dict[str, Array] = field(default_factory=dict)
    nodes: dict[str, Operator] = field(default_factory=dict)
    """by name"""


def read(path: Path, branch: str) -> OrtGraph:
    """The graph in `path`; where it has an If, that of its `branch`, too: "then_branch" or "else_branch".

    Raises ValueError for a file that is none.
    """
    data = path.read_bytes()
    if data[4:8] != b"ORTM":
        raise ValueError(path)
    found = OrtGraph()
    _collect(Table.root(data).table(1).table(7), branch, found)
    return found


def _collect(graph: Table, branch: str, into: OrtGraph) -> None:
    for tensor in graph.tables(0):
        kind = _DTYPES.get(tensor.number(3, "<i"))
        if kind is not None and tensor.has(4):
            into.weights[tensor.text(0)] = tensor.raw(4, np.dtype(kind)).reshape(tensor.numbers(2))
    for node in graph.tables(2):
        attributes: dict[str, int | float] = {}
        for attribute in node.tables(10):
            kind_, name = attribute.number(2, "<i"), attribute.text(0)
            if kind_ == _GRAPH and name == branch:
                _collect(attribute.table(7), branch, into)
            elif kind_ in (_FLOAT, _INT):
                attributes[name] = attribute.number(3, "<f") if kind_ == _FLOAT else attribute.number(4, "<q")
        into.nodes[node.text(0)] = Operator(node.text(5), tuple(node.texts(8)), attributes)
