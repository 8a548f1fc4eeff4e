"""Loudness as ITU-R BS.1770-4 and EBU R128 measure it, of a stream."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS, HOP_SECONDS = 0.4, 0.1
"""of a gating block, and from one to the next"""
QUIETEST = -70.0
"""LUFS: the absolute gate; blocks below it are not speech"""

_OFFSET = -0.691
_RELATIVE_GATE = -10.0
_BIN = 0.05
"""LU"""
_BINS = round((10 - QUIETEST) / _BIN)
_SHELF = (1681.974450955533, 0.7071752369554196, 3.999843853973347)
_SHELF_MIDDLE = 0.4996667741545416
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)
"""hertz, Q (and dB) of the analogue filters whose digital form at 48 kHz BS.1770 prints (as in libebur128)"""
_RESPONSE_SECONDS = 0.1
"""of K-weighting's impulse response, which has died away by then"""


class Meter:
    """Integrated loudness of all that it was shown.

    Memory does not grow with the stream: blocks are kept as a histogram of 0.05 LU.
    """

    def __init__(self, sample_rate: int) -> None:
        """hertz"""
        self._hop = round(sample_rate * HOP_SECONDS)
        self._block = round(BLOCK_SECONDS / HOP_SECONDS)
        self._filter = _k_weighting(sample_rate)
        self._before = np.zeros(len(self._filter) - 1, np.float32)
        self._rest = np.zeros(0, np.float32)
        """of the weighted power, shorter than a hop"""
        self._hops = np.zeros(0)
        """powers of the last hops, fewer than a block has"""
        self._counts, self._powers = np.zeros(_BINS), np.zeros(_BINS)

    def add(self, samples: NDArray[np.float32]) -> None:
        """float32 [n], the next samples."""
        heard = np.concatenate([self._before, samples])
        self._before = heard[len(samples) :]
        power = np.concatenate([self._rest, np.square(_filtered(heard, self._filter))])
        whole = len(power) // self._hop
        self._rest = power[whole * self._hop :]
        hops = power[: whole * self._hop].reshape(whole, self._hop).mean(axis=1, dtype=np.float64)
        hops = np.concatenate([self._hops, hops])
        if len(hops) >= self._block:
            self._count(np.convolve(hops, np.full(self._block, 1 / self._block), "valid"))
        self._hops = hops[max(0, len(hops) - self._block + 1) :]

    def integrated(self) -> float | None:
        """LUFS, both gates applied; None where nothing was loud enough.

        Of less than one block (0.4 s), which BS.1770 does not define: the loudness of what there is.
        """
        counts, powers = self._counts, self._powers
        if not counts.any():
            power = np.concatenate([np.repeat(self._hops, self._hop), self._rest])
            level = _loudness(float(power.mean())) if len(power) else -math.inf
            return level if level >= QUIETEST else None
        gate = _loudness(powers.sum() / counts.sum()) + _RELATIVE_GATE
        loud = max(0, round((gate - QUIETEST) / _BIN))
        return _loudness(powers[loud:].sum() / counts[loud:].sum())

    def _count(self, powers: NDArray[np.float64]) -> None:
        powers = powers[powers >= 10 ** ((QUIETEST - _OFFSET) / 10)]
        bins = ((10 * np.log10(powers) + _OFFSET - QUIETEST) / _BIN).astype(np.int64).clip(0, _BINS - 1)
        self._counts += np.bincount(bins, minlength=_BINS)
        self._powers += np.bincount(bins, powers, minlength=_BINS)


def _loudness(power: float) -> float:
    return _OFFSET + 10 * math.log10(power) if power > 0 else -math.inf


def _filtered(samples: NDArray[np.float32], taps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The convolution where both overlap whole: [n − taps + 1]."""
    count = len(samples) - len(taps) + 1
    if not count:
        return samples[:0]
    size = 1 << (len(samples) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(taps, size), size)
    return product[len(taps) - 1 : len(samples)].astype(np.float32)


@cache
def _k_weighting(sample_rate: int) -> NDArray[np.float32]:
    """Its impulse response at this rate.

    With it an FFT weights a whole stretch at once, where the recursion would go sample by sample. Both
    biquads are evaluated on the unit circle, densely enough that next to nothing folds in time.
    """
    length = round(_RESPONSE_SECONDS * sample_rate)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(8 * length))
    frequency, q, gain = _SHELF
    k, high = math.tan(math.pi * frequency / sample_rate), 10 ** (gain / 20)
    middle = high**_SHELF_MIDDLE * k / q
    shelf = _polynomial(z, high + middle + k * k, 2 * (k * k - high), high - middle + k * k)
    shelf /= _polynomial(z, 1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)
    frequency, q = _HIGH_PASS
    k = math.tan(math.pi * frequency / sample_rate)
    high_pass = _polynomial(z, 1, -2, 1) * (1 + k / q + k * k)
    high_pass /= _polynomial(z, 1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)
    return np.fft.irfft(shelf * high_pass)[:length].astype(np.float32)


def _polynomial(
    z: NDArray[np.complex128], first: float, second: float, third: float
) -> NDArray[np.complex128]:
    return first + second * z + third * z * z
