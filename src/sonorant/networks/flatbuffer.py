"""Reading FlatBuffers (flatbuffers.dev/internals), the encoding of .ort and .tflite files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Table:
    """A table, whose fields are counted from 0 in the order of the schema.

    What lies outside the data raises struct.error or ValueError.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a file of the format begins with."""
        return cls(data, _u32(data, 0))

    def has(self, field: int) -> bool:
        return self._place(field) != 0

    def number(self, field: int, form: str) -> Any:
        place = self._place(field)
        return struct.unpack_from(form, self._data, place)[0] if place else 0

    def table(self, field: int) -> Table:
        return Table(self._data, self._target(self._place(field)))

    def tables(self, field: int) -> Iterator[Table]:
        return (Table(self._data, target) for target in self._targets(field))

    def text(self, field: int) -> str:
        return self._text(self._target(self._place(field))) if self.has(field) else ""

    def texts(self, field: int) -> list[str]:
        return [self._text(target) for target in self._targets(field)]

    def numbers(self, field: int, form: str = "q") -> list[int]:
        """A vector of int64, or of what `form` says (struct)."""
        if not self.has(field):
            return []
        start = self._target(self._place(field))
        return list(struct.unpack_from(f"<{_u32(self._data, start)}{form}", self._data, start + 4))

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
