"""Writing a network as an .onnx file, for graphs that are made here (onnx.proto3 has the field numbers)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from sonorant.networks.protobuf import field as message
from sonorant.networks.protobuf import opened
from sonorant.networks.signature import Array, Axis, Tensor

Attribute = int | float | tuple[int, ...]

IR, OPSET, MICROSOFT = 10, 19, "com.microsoft"

_DTYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}


@dataclass(frozen=True, slots=True)
class Node:
    """An operator of a graph."""

    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    domain: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


class Graph:
    """A network that is being written: its nodes and weights, as they are added."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.weights: dict[str, Array] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Attribute) -> str:
        """Add a node; the name of its output, which may be given."""
        name = name or f"node.{len(self.nodes)}"
        self.nodes.append(Node(kind, inputs, [name], domain, attributes))
        return name

    def several(self, kind: str, *inputs: str, outputs: int, **attributes: Attribute) -> list[str]:
        """Add a node with so many outputs; their names."""
        names = [f"node.{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(Node(kind, inputs, names, attributes=attributes))
        return names

    def split(self, x: str, *sizes: int) -> list[str]:
        """Parts of x along its second dimension."""
        return self.several("Split", x, self.constant(np.array(sizes)), outputs=len(sizes), axis=1)

    def constant(self, value: Array) -> str:
        """The name of a weight with this value."""
        content = blake2b(np.ascontiguousarray(value).data).digest()
        key = (str(value.dtype), value.shape, content)
        name = self._constants.setdefault(key, f"constant.{len(self._constants)}")
        self.weights[name] = value
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def file(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bytes:
        """The serialised ModelProto. Weights are copied once, when all of it is joined."""
        graph: list[bytes | memoryview] = [
            *(message(1, _node(node)) for node in self.nodes),
            message(2, b"sonorant"),
            *(message(11, _value(tensor)) for tensor in inputs),
            *(message(12, _value(tensor)) for tensor in outputs),
        ]
        for name, value in self.weights.items():
            graph += _weight(name, value)
        opsets = [message(1, d.encode()) + message(2, v) for d, v in (("", OPSET), (MICROSOFT, 1))]
        ends = [message(8, opset) for opset in opsets]
        return b"".join([message(1, IR), *opened(7, sum(map(len, graph))), *graph, *ends])


def _node(node: Node) -> bytes:
    return b"".join(
        [
            *(message(1, name.encode()) for name in node.inputs),
            *(message(2, name.encode()) for name in node.outputs),
            message(4, node.op.encode()),
            *(message(5, _attribute(name, value)) for name, value in node.attributes.items()),
            message(7, node.domain.encode()),
        ]
    )


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        kind, held = 1, b"\x15" + struct.pack("<f", value)
    elif isinstance(value, int):
        kind, held = 2, message(3, value % (1 << 64))
    else:
        kind, held = 7, b"".join(message(8, each % (1 << 64)) for each in value)
    return message(1, name.encode()) + held + message(20, kind)


def _weight(name: str, value: Array) -> list[bytes | memoryview]:
    raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    dims = b"".join(message(1, n) for n in value.shape)
    kind = message(2, _DTYPES[str(value.dtype)])
    head = b"".join([dims, kind, message(8, name.encode()), *opened(9, len(raw))])
    return [*opened(5, len(head) + len(raw)), head, raw]


def _value(tensor: Tensor) -> bytes:
    dims = [message(2, d.name.encode()) if isinstance(d, Axis) else message(1, d) for d in tensor.dims]
    shape = b"".join(message(1, dim) for dim in dims)
    kind = message(1, _DTYPES[tensor.dtype]) + message(2, shape)
    return message(1, tensor.name.encode()) + message(2, message(1, kind))
