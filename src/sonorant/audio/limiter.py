"""A look-ahead limiter: true peaks stay below a ceiling, without clipping."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

LOOKAHEAD_SECONDS, HOLD_SECONDS = 0.005, 0.015
"""the gain begins to fall so long before a peak, and stays down so long after it: a period of a low voice"""

_FRAME_SECONDS = 0.001
_HALF = 16
"""samples on either side that an interpolated one is made of"""
_FINENESS = 8
"""places looked at from one sample to the next; the 4 of BS.1770-4, annex 2 miss up to 0.4 dB here"""


class Limiter:
    """One stream's limiter. What comes out lies 7 ms and a little behind what went in."""

    def __init__(self, sample_rate: int, ceiling: float) -> None:
        """Hertz; dBTP."""
        self._frame = round(sample_rate * _FRAME_SECONDS)
        self._ahead = round(LOOKAHEAD_SECONDS / _FRAME_SECONDS)
        self._window = round(HOLD_SECONDS / _FRAME_SECONDS) + self._ahead + 1
        self._ceiling = 10 ** (ceiling / 20)
        slope = np.hanning(self._ahead + 3)[1:-1]
        self._slope = slope / slope.sum()
        self._next = np.zeros(_HALF, np.float32)
        """samples whose peaks are not known yet, and the _HALF before them"""
        self._known = np.zeros(0, np.float32)
        """samples whose peaks are known, not limited yet"""
        self._gains = np.ones(self._window - 1)
        """that the peaks of each frame allow, from as long ago as they still matter"""
        self._owed = 0
        """samples that went in and have not come out"""

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] → float32 [m], what is ready so far."""
        self._owed += len(samples)
        limited = self._process(samples)
        self._owed -= len(limited)
        return limited

    def flush(self) -> NDArray[np.float32]:
        """float32 [m]: the rest. Call it once, at the end of the stream."""
        after = np.zeros((self._ahead + 3) * self._frame + _HALF, np.float32)
        return self._process(after)[: self._owed]

    def _process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = np.concatenate([self._next, samples])
        frames = max(0, len(heard) - 2 * _HALF) // self._frame
        count = frames * self._frame
        peaks = true_peaks(heard[: count + 2 * _HALF]).reshape(frames, self._frame).max(axis=1)
        self._next = heard[count:]
        self._known = np.concatenate([self._known, heard[_HALF : _HALF + count]])
        self._gains = np.concatenate([self._gains, np.minimum(1, self._ceiling / np.maximum(peaks, 1e-9))])
        return self._limited()

    def _limited(self) -> NDArray[np.float32]:
        """The known samples up to where the look-ahead still reaches."""
        if len(self._gains) <= self._window + self._ahead:
            return self._known[:0]
        lowest = np.lib.stride_tricks.sliding_window_view(self._gains, self._window).min(axis=1)
        smooth = np.convolve(lowest, self._slope, "valid")
        frames = len(smooth) - 1
        count = frames * self._frame
        gains = np.interp(np.arange(count), np.arange(len(smooth)) * self._frame, smooth)
        limited = self._known[:count] * gains.astype(np.float32)
        self._known, self._gains = self._known[count:], self._gains[frames:]
        return limited


def true_peaks(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n + 2 · 16] → float32 [n]: the highest magnitude from each sample to the next.

    The 16 samples at either end only surround the others.
    """
    peaks: NDArray[np.float32] = np.abs(samples[_HALF:-_HALF])
    for taps in _interpolations():
        between = np.convolve(samples[1:], taps, "valid") if len(peaks) else peaks
        np.maximum(peaks, np.abs(between), out=peaks)
    return peaks


@cache
def _interpolations() -> NDArray[np.float32]:
    """float32 [7, 2 · 16]: for each place between a sample and the next, a windowed sinc to convolve with."""
    places = np.arange(1, _FINENESS)[:, np.newaxis] / _FINENESS
    at = places + np.arange(_HALF - 1, -_HALF - 1, -1)
    taps = np.sinc(at) * np.cos(np.pi * at / (2 * _HALF + 1)) ** 2
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)
