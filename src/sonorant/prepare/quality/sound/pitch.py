"""How high a voice is."""

from __future__ import annotations

import numpy as np

from sonorant.prepare.quality.sound.frames import HOP_SECONDS, Samples, framed, levels, speech_level

WINDOW_SECONDS = 0.040
LOWEST, HIGHEST = 60.0, 400.0
"""hertz"""
PREFERENCE = 0.02
"""by which a period an octave shorter may return less"""
VOICED = 0.6
"""of the energy that returns after a period; less is no voice"""


def pitch(samples: Samples, rate: int) -> float:
    """The median fundamental frequency of the voiced frames, hertz, by autocorrelation; 0 = none is."""
    size = round(WINDOW_SECONDS * rate)
    frames = framed(samples, size, round(HOP_SECONDS * rate))
    frames = frames - frames.mean(axis=1, keepdims=True)
    points = 1 << (2 * size - 1).bit_length()
    returned = np.fft.irfft(np.square(np.abs(np.fft.rfft(frames, points))), points)[:, :size]
    overlap = 1 - np.arange(size) / size
    returned = returned / np.maximum(returned[:, :1], 1e-12) / np.maximum(overlap, 0.1)
    first, last = int(rate / HIGHEST), min(int(rate / LOWEST), size - 2)
    # two periods return as much as one: the shorter is meant
    preference = PREFERENCE * np.log2(np.arange(first, last) / first)
    peaks = (returned[:, first:last] - preference).argmax(axis=1) + first
    rows = np.arange(len(frames))
    strength = returned[rows, peaks]
    decibels = levels(samples, rate)
    loud = np.zeros(len(frames), bool)
    loud[: len(decibels)] = (decibels > speech_level(decibels) - 20)[: len(frames)]
    voiced = loud & (strength > VOICED)
    if not voiced.any():
        return 0.0
    before, at, after = (returned[rows, peaks + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    exact = peaks + np.where(np.abs(bend) > 1e-9, (before - after) / 2 / np.where(bend, bend, 1), 0)
    return float(rate / np.median(exact[voiced]))
