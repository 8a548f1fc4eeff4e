"""Sound in frames, and how loud each is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""float32 [n] in [-1, 1], one channel"""
Values = NDArray[np.float64]

FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010
QUIETEST = -100.0
"""dB below full scale: what is quieter counts as this"""
PAUSE = -40.0
"""dB from the level of speech: below it is a pause"""


def framed(samples: Samples | Values, size: int, hop: int) -> Values:
    """[frames, size], at least one frame; samples that fill no whole frame are left out."""
    padded = np.pad(np.asarray(samples, np.float64), (0, max(0, size - len(samples))))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def in_decibels(power: Values) -> Values:
    """10·log10, no less than `QUIETEST`."""
    decibels: Values = 10 * np.log10(np.maximum(power, 10 ** (QUIETEST / 10)))
    return decibels


def levels(samples: Samples, rate: int) -> Values:
    """[frames]: the level of each 25 ms, every 10 ms, dB of full scale."""
    frames = framed(samples, round(FRAME_SECONDS * rate), round(HOP_SECONDS * rate))
    return in_decibels(np.square(frames).mean(axis=1))


def speech_level(decibels: Values) -> float:
    """The level of the speech in frames: the mean power of those within 40 dB of the loudest, in dB."""
    active = decibels[decibels > decibels.max() + PAUSE]
    return float(10 * np.log10(np.mean(10 ** (active / 10)))) if len(active) else QUIETEST
