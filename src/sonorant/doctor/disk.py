"""How fast the disk is that models are kept on, by writing to it and reading that back."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sonorant.errors import StorageError

_BLOCK = 1 << 20
_BLOCKS = 48
_SECONDS = 1.0
"""of writing, and again of reading, at most"""
_READS, _PAGE = 48, 4096


def measure(folder: str) -> dict[str, Any]:
    """What `folder`'s disk does. Writes at most 48 MiB there, to a nameless file, for at most 3 s or so.

    folder; free (bytes); write and read (bytes a second); random_read (seconds for 4 KiB anywhere in it,
    median: a turning disk needs milliseconds). Linux only reads from the disk itself; elsewhere `read` is
    that of the file cache. Raises StorageError where nothing can be written.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path, buffering=0) as file:
            descriptor = file.fileno()
            written, seconds = _write(descriptor)
            read, random_read = _read(descriptor, written)
        free = shutil.disk_usage(path).free
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written to", why=str(error), remedy="Check the folder's owner and its disk"
        ) from None
    return {
        "folder": folder,
        "free": free,
        "write": written / seconds,
        "read": read,
        "random_read": random_read,
    }


def _write(descriptor: int) -> tuple[int, float]:
    """Bytes that were written down to the disk, and the seconds that this took."""
    block = random.randbytes(_BLOCK)  # noqa: S311  # what a disk cannot compress
    start = time.perf_counter()
    written = 0
    while written < _BLOCK * _BLOCKS and time.perf_counter() - start < _SECONDS:
        written += os.write(descriptor, block)
    os.fsync(descriptor)
    return written, time.perf_counter() - start


def _read(descriptor: int, size: int) -> tuple[float, float]:
    """Bytes a second in order, and seconds for a page at random."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # not from memory
    start = time.perf_counter()
    at = 0
    while at < size // 2 and time.perf_counter() - start < _SECONDS:
        at += len(os.pread(descriptor, _BLOCK, at))
    speed = at / (time.perf_counter() - start)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # nothing around a page is read with it
    taken = []
    for _ in range(_READS):
        page = random.randrange(size // 2, size - _PAGE) // _PAGE * _PAGE  # noqa: S311
        begun = time.perf_counter()
        os.pread(descriptor, _PAGE, page)
        taken.append(time.perf_counter() - begun)
        if time.perf_counter() - start > 2 * _SECONDS:
            break
    return speed, statistics.median(taken)
