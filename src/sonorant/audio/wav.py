"""Uncompressed 16-bit PCM in a WAV file, read with numpy alone.

It is what microphones, telephony and voice agents send, and it needs no decoder: a header of fixed
fields, then samples. Such a file is read where it is wanted, without a child process. Whatever is not
exactly of this kind, or claims more than it holds, is left to FFmpeg in the sandbox.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sonorant.audio import decoding

_PCM, _BITS = 1, 16
_CHUNKS = 16
"""chunks looked at before the samples; real files have at most a few"""


@dataclass(frozen=True, slots=True)
class _Format:
    channels: int
    rate: int
    size: int
    """bytes of samples; the file stands at the first"""


def decode(file: BinaryIO, job: decoding.Job) -> Iterator[NDArray[np.float32]] | None:
    """As `decoding.decode` and to the same samples; None = not plain PCM, leave it to FFmpeg.

    Raises LimitError for audio longer than `job.max_seconds`, AudioError for a file without a sample.
    """
    found = _header(file)
    if found is None:
        return None
    frames = found.size // (2 * found.channels)
    if frames > job.max_seconds * found.rate:
        raise decoding.too_long(job)
    return decoding.conformed(_pieces(file, found, frames, job.chunk_seconds), job)


def _pieces(
    file: BinaryIO, found: _Format, frames: int, seconds: float
) -> Iterator[tuple[NDArray[np.float32], int]]:
    step = max(1, round(seconds * found.rate))
    for start in range(0, frames, step):
        data = file.read(2 * found.channels * min(step, frames - start))
        samples = np.frombuffer(data, "<i2").reshape(-1, found.channels).astype(np.float32)
        samples /= 32768
        yield samples[:, 0] if found.channels == 1 else samples.mean(axis=1), found.rate


def _header(file: BinaryIO) -> _Format | None:
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    found: tuple[int, int] | None = None
    for _ in range(_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk)
        left = end - file.tell()
        if size > left:
            return None
        if name == b"data":
            return _Format(*found, size) if found else None
        if name == b"fmt ":
            if size < 16:
                return None
            kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", file.read(16))
            if (kind, bits, block) != (_PCM, _BITS, 2 * channels) or not decoding.plausible(rate, channels):
                return None
            found = channels, rate
            size -= 16
        file.seek(size + size % 2, 1)
    return None
