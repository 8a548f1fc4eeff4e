"""The bytes of a wav or pcm stream, as they come: how much audio they are and where the first sound is."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

SOUND = 10 ** (-40 / 20)
"""RMS of a frame from which on it is sound: 40 dB below full scale"""
FRAME_SECONDS = 0.005

_UNKNOWN = range(0x7FFFFF00, 2**32)
"""sizes that stand in the header of a wav that is still being written; 0 does, too"""
_LONGEST_HEADER = 1 << 16


class NotAudioError(Exception):
    """The bytes are not 16 bit audio."""


class Onset:
    """Finds the first sound; it looks at no sample after it."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        """where it is; None = all was silent so far"""
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self._frames = 0

    def feed(self, samples: NDArray[np.float32], rate: int) -> None:
        """samples: float32 [n] in [-1, 1]; rate: how many of them are a second."""
        if self.seconds is not None:
            return
        frame = max(1, round(rate * FRAME_SECONDS))
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // frame
        self._rest = samples[whole * frame :]
        power = np.mean(np.square(samples[: whole * frame].reshape(whole, frame)), axis=1)
        loud = np.flatnonzero(power >= SOUND**2)
        if len(loud):
            self.seconds = (self._frames + int(loud[0])) * frame / rate
        self._frames += whole


class Bytes:
    """Signed 16 bit little-endian audio as bytes: a wav, or pcm without a header."""

    def __init__(self, rate: int | None = None) -> None:
        """`rate`: hertz of one channel of pcm; None = a wav, whose header tells."""
        self.onset = Onset()
        self._samples_a_second = rate
        self._header = bytearray()
        self._left: int | None = None
        """bytes of audio that a wav's header has promised and that have not come; None = it does not say"""
        self._odd = b""

    def feed(self, data: bytes) -> float:
        """The bytes that came → how many seconds of audio they have completed. Raises NotAudioError."""
        if self._samples_a_second is None:
            data = self._read_header(data)
        if self._samples_a_second is None:
            return 0.0
        if self._left is not None:  # behind the audio of a wav there may be a list of its authors
            data = data[: self._left]
            self._left -= len(data)
        data = self._odd + data
        whole = len(data) // 2
        self._odd = data[whole * 2 :]
        if whole and self.onset.seconds is None:
            samples = np.frombuffer(data, "<i2", whole).astype(np.float32) / np.float32(32768)
            self.onset.feed(samples, self._samples_a_second)
        return whole / self._samples_a_second

    def _read_header(self, data: bytes) -> bytes:
        """Gather the header → the audio behind it, if it has ended."""
        self._header += data
        header = self._header
        if not b"RIFF".startswith(header[:4]) or (len(header) >= 12 and header[8:12] != b"WAVE"):
            raise NotAudioError(f"no wav begins with {bytes(header[:12])!r}")
        at, samples_a_second = 12, 0
        while len(header) >= at + 8:
            name, size = struct.unpack_from("<4sI", header, at)
            if name == b"data":
                if not samples_a_second:
                    raise NotAudioError("the wav has no format before its data")
                self._samples_a_second = samples_a_second
                self._left = None if size == 0 or size in _UNKNOWN else size
                return bytes(header[at + 8 :])
            if name == b"fmt " and len(header) >= at + 24:
                _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", header, at + 8)
                if bits != 16 or not channels or not rate:
                    raise NotAudioError(f"a wav of {bits} bits; only 16 bit audio is measured")
                samples_a_second = channels * rate
            at += 8 + size + size % 2
        if at > _LONGEST_HEADER or len(header) > _LONGEST_HEADER:
            raise NotAudioError("the wav has no data within 64 KiB")
        return b""
