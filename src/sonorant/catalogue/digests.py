"""What a model's files are known by, whatever they are called.

An .onnx file may keep its weights in others, and stay the same when these are trained on.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from functools import lru_cache
from pathlib import Path


def identity(source: Path) -> str:
    """Of a model: the sha256 of its file; where weights lie in files beside it, of all their digests."""
    digests = [sha256(file) for file in (source, *beside(source))]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if len(digests) > 1 else digests[0]


def size(source: Path) -> int:
    """Bytes of a model, with those of files beside it that hold its weights."""
    return sum(file.stat().st_size for file in (source, *beside(source)))


def beside(source: Path) -> list[Path]:
    """Files that hold weights of an .onnx file, as far as they are there."""
    if source.suffix != ".onnx" or not _there(source):
        return []
    stat = source.stat()
    named = _named(source, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return [file for file in named if _there(file)]


def _there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name that no file can have
        return False


_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")
"""the entry of an ONNX weight that names its file (StringStringEntryProto), up to the length of the name"""


@lru_cache(maxsize=64)
def _named(source: Path, size: int, *changed: int) -> tuple[Path, ...]:
    """What it names for its weights, found without reading it as a graph."""
    if not size:
        return ()
    names = set()
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for found in _LOCATION.finditer(data):
            low, high = found[1][0] & 0x7F, found[1][1] if len(found[1]) > 1 else 0
            names.add(data[found.end() : found.end() + (high << 7 | low)].decode(errors="replace"))
    inside = (Path(name) for name in sorted(names) if "\0" not in name)
    return tuple(source.parent / path for path in inside if not path.is_absolute() and ".." not in path.parts)


def sha256(path: Path) -> str:
    """Of a file, 64 hexadecimal digits; one that has not changed is not read again."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=4096)
def _sha256(path: Path, *changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
