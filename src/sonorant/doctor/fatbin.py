"""Which GPUs a shared library was compiled for, read from its bytes: nothing of it is loaded.

nvcc puts GPU code into the ELF section `.nv_fatbin`: fat binaries one after the other, each a header and
entries of 64 bytes or more with the kind (1 PTX, 2 machine code) and the architecture (75 = sm_75).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MAGIC = 0xBA55ED50
_PTX, _MACHINE_CODE = 1, 2
_MOST = 200_000
"""fat binaries of a library that are looked at; libtorch_cuda.so has some thousands"""


def architectures(library: Path) -> tuple[str, ...]:
    """["sm_75", "sm_80", "compute_90" (PTX), …] in order; none where it holds no GPU code, or is no ELF."""
    found: set[tuple[int, str]] = set()
    try:
        with library.open("rb") as file:
            for start, end in _sections(file):
                found |= set(_entries(file, start, end))
    except (OSError, struct.error, ValueError):
        return ()
    return tuple(f"{kind}_{number}" for number, kind in sorted(found))


def _sections(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where the sections of GPU code begin and end in a 64-bit little-endian ELF."""
    header = file.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        return
    (table,) = struct.unpack_from("<Q", header, 40)
    size, count, names = struct.unpack_from("<HHH", header, 58)
    file.seek(table)
    sections = [struct.unpack("<IIQQQQ", file.read(size)[:40]) for _ in range(count)]
    file.seek(sections[names][4])
    words = file.read(sections[names][5])
    for name, _, _, _, offset, length in sections:
        if words[name:].split(b"\0", 1)[0] == b".nv_fatbin":
            yield offset, offset + length


def _entries(file: BinaryIO, at: int, end: int) -> Iterator[tuple[int, str]]:
    for _ in range(_MOST):
        if at + 16 > end:
            return
        file.seek(at)
        magic, _, header, size = struct.unpack("<IHHQ", file.read(16))
        if magic != _MAGIC:
            at += 8  # padding
            continue
        entry, last = at + header, at + header + size
        while entry + 64 <= last:
            file.seek(entry)
            kind, _, head, length = struct.unpack("<HHIQ", file.read(16))
            file.seek(entry + 28)
            (number,) = struct.unpack("<I", file.read(4))
            if kind in (_PTX, _MACHINE_CODE):
                yield number, "compute" if kind == _PTX else "sm"
            if head + length == 0:
                break
            entry += head + length
        at = last


def runs_on(capability: str, compiled: tuple[str, ...]) -> bool | None:
    """Whether code compiled for these runs on a GPU of `capability` ("8.6"); None = nothing is known.

    Machine code runs on GPUs of the same major version and at least its minor one; PTX is compiled on the
    spot for any newer GPU; what ends in "a" runs on that GPU alone (CUDA programming guide, 3.1.2–3.1.4).
    """
    if not compiled:
        return None
    major, _, minor = capability.partition(".")
    own = (int(major), int(minor or 0))
    for name in compiled:
        kind, _, number = name.partition("_")
        digits = number.rstrip("af")
        if not digits.isdigit():
            continue
        theirs = (int(digits[:-1]), int(digits[-1]))
        if number != digits:
            fits = kind == "sm" and own == theirs
        elif kind == "sm":
            fits = own[0] == theirs[0] and own[1] >= theirs[1]
        else:
            fits = own >= theirs
        if fits:
            return True
    return False
