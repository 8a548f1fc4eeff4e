"""Reading the weights and operators of an .ort file, ONNX Runtime's own format.

It is a FlatBuffer (onnxruntime/core/flatbuffers/schema/ort.fbs has the tables; flatbuffers.dev/internals
the encoding). ONNX Runtime's package has a reader for it, which imports torch where that is installed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    _collect(_Table(data, _u32(data, 0)).table(1).table(7), branch, found)
    return found


def _collect(graph: _Table, branch: str, into: OrtGraph) -> None:
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


class _Table:
    """A table of a FlatBuffer, whose fields are counted from 0 in the order of the schema."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]

    def has(self, field: int) -> bool:
        return self._place(field) != 0

    def number(self, field: int, form: str) -> Any:
        place = self._place(field)
        return struct.unpack_from(form, self._data, place)[0] if place else 0

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._target(self._place(field)))

    def tables(self, field: int) -> Iterator[_Table]:
        return (_Table(self._data, target) for target in self._targets(field))

    def text(self, field: int) -> str:
        return self._text(self._target(self._place(field))) if self.has(field) else ""

    def texts(self, field: int) -> list[str]:
        return [self._text(target) for target in self._targets(field)]

    def numbers(self, field: int) -> list[int]:
        """A vector of int64."""
        if not self.has(field):
            return []
        start = self._target(self._place(field))
        return list(struct.unpack_from(f"<{_u32(self._data, start)}q", self._data, start + 4))

    def raw(self, field: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """A vector of bytes, which hold numbers of another type."""
        start = self._target(self._place(field))
        return np.frombuffer(self._data, dtype, _u32(self._data, start) // dtype.itemsize, start + 4)

    def _targets(self, field: int) -> Iterator[int]:
        if self.has(field):
            start = self._target(self._place(field))
            for i in range(_u32(self._data, start)):
                yield self._target(start + 4 + 4 * i)

    def _text(self, at: int) -> str:
        return self._data[at + 4 : at + 4 + _u32(self._data, at)].decode()

    def _place(self, field: int) -> int:
        """0 = the field is not there."""
        entry = 4 + 2 * field
        if entry >= struct.unpack_from("<H", self._data, self._fields)[0]:
            return 0
        offset: int = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._at + offset if offset else 0

    def _target(self, place: int) -> int:
        return place + _u32(self._data, place)


def _u32(data: bytes, at: int) -> int:
    value: int = struct.unpack_from("<I", data, at)[0]
    return value
