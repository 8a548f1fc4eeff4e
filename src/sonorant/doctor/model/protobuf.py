"""Reading the outermost fields of an .onnx file without parsing it: is it one, and is it whole?

field numbers: onnx.proto3, ModelProto. Encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

_WIRE = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""field of a ModelProto → its wire type: 0 a number, 2 bytes with their length before"""
_LAST = 100
"""fields up to here may come with a newer onnx"""
VERSION, GRAPH = 1, 7


@dataclass(frozen=True, slots=True)
class Outline:
    """Of an .onnx file."""

    fields: frozenset[int]
    """those that are there, or begin"""
    end: int
    """where the last field that begins would end, in bytes"""
    strange: bool
    """something stands between them that no ModelProto has"""


def is_model(head: bytes) -> bool:
    """Whether a ModelProto could begin so: with its IR version, its producer or its graph."""
    outline = outline_of(io.BytesIO(head), len(head))
    begins = head[:1] in (b"\x08", b"\x12", b"\x3a")
    return begins and (len(outline.fields) > 1 or (bool(outline.fields) and not outline.strange))


def is_surely_model(stream: BinaryIO, size: int) -> bool:
    """Of a file whose name does not say so: other programs' messages, and texts, begin alike."""
    outline = outline_of(stream, size)
    return {VERSION, GRAPH} <= outline.fields and not outline.strange


def outline_of(stream: BinaryIO, size: int) -> Outline:
    """Walks over the outermost fields of a file of `size` bytes."""
    fields: set[int] = set()
    at = 0
    while at < size:
        stream.seek(at)
        head = stream.read(20)
        try:
            tag, used = _varint(head, 0)
            number, wire = tag >> 3, tag & 7
            if wire not in (0, 2) or _WIRE.get(number, wire) != wire or not 0 < number <= _LAST:
                return Outline(frozenset(fields), at, True)
            fields.add(number)
            value, used = _varint(head, used)
        except IndexError:  # the file ends inside a number
            return Outline(frozenset(fields), size + 1, len(head) == 20)
        at += used + (value if wire == 2 else 0)
    return Outline(frozenset(fields), at, False)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
