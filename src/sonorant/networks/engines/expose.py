"""Making a tensor inside an ONNX graph an output, without parsing the model.

Two protobuf messages written one after the other merge: a message field that stands twice is merged
field by field (Protocol Buffers encoding, "Last One Wins"). So appending a ModelProto that holds
nothing but graph.output = [name] adds that output. ONNX Runtime infers its type and shape.
"""

from __future__ import annotations

from collections.abc import Iterable

from sonorant.networks.protobuf import field

_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1
"""field numbers of onnx.proto3: ModelProto.graph, GraphProto.output, ValueInfoProto.name"""


def expose(model: bytes, tensors: Iterable[str]) -> bytes:
    """The serialised .onnx `model` with the named tensors as further outputs."""
    outputs = b"".join(field(_GRAPH_OUTPUT, field(_VALUE_NAME, name.encode())) for name in tensors)
    return model + field(_MODEL_GRAPH, outputs)
