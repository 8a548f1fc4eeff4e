"""Vowels that nobody said: what a recogniser can be tried with, where there is no recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))
"""first three formants of ɑ i ɔ ɛ, hertz (Peterson and Barney 1952, men)"""
_FORMANTS = ((1.0, 80.0), (0.5, 100.0), (0.25, 120.0))
"""gain and bandwidth in hertz of each"""
_SYLLABLES = 4
"""a second"""


def babble(seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """float32 [n] in [-0.5, 0.5]: a voice of about 120 Hz that a VAD takes for speech."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = np.cumsum(120 * (1 + 0.1 * np.sin(2 * np.pi * 1.3 * t))) / sample_rate
    pulses = np.diff(np.floor(phase), prepend=0.0)
    syllable = (t * _SYLLABLES).astype(int) % len(_VOWELS)
    after = np.arange(round(0.03 * sample_rate)) / sample_rate
    sound = np.zeros_like(t)
    for i, formants in enumerate(_VOWELS):
        for hertz, (gain, width) in zip(formants, _FORMANTS, strict=True):
            ringing = gain * np.exp(-np.pi * width * after) * np.sin(2 * np.pi * hertz * after)
            sound += np.convolve(pulses * (syllable == i), ringing)[: len(t)]
    sound *= 0.5 - 0.5 * np.cos(2 * np.pi * _SYLLABLES * t)
    return np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)
