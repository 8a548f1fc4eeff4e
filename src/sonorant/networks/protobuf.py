"""Writing Protocol Buffers messages: the two things that it takes (developers.google.com, "Encoding")."""

from __future__ import annotations


def field(number: int, value: bytes | int) -> bytes:
    """A field of a message: bytes (also a string, or a message), or a whole number ≥ 0."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return b"".join([*opened(number, len(value)), value])


def opened(number: int, length: int) -> tuple[bytes, bytes]:
    """What stands before a field of so many bytes."""
    return varint(number << 3 | 2), varint(length)


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
