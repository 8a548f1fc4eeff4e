"""Making a tensor inside an ONNX graph an output, without parsing the model.

Two protobuf messages written one after the other merge: a message field that stands twice is merged
field by field (Protocol Buffers encoding, "Last One Wins"). So appending a ModelProto that holds
nothing but graph.output = [name] adds that output. ONNX Runtime infers its type and shape.
"""

from __future__ import annotations

from collections.abc import Iterable

_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1
"""field numbers of onnx.proto3: ModelProto.graph, GraphProto.output, ValueInfoProto.name"""


def expose(model: bytes, tensors: Iterable[str]) -> bytes:
    """The serialised .onnx `model` with the named tensors as further outputs."""
    outputs = b"".join(_field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode())) for name in tensors)
    return model + _field(_MODEL_GRAPH, outputs)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
