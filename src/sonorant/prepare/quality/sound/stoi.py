"""STOI: how intelligible a degraded signal is beside the original one, 0 to 1.

Taal, Hendriks, Heusdens and Jensen, "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted
Noisy Speech" (IEEE TASLP 2011). Written after the paper and held against pystoi 0.4.1.
"""

from __future__ import annotations

import numpy as np
import soxr

from sonorant.prepare.quality.sound.frames import Samples, Values, framed

RATE = 10_000
"""hertz"""
FRAME, POINTS = 256, 512
BANDS, LOWEST = 15, 150.0
"""third octaves, the centre of the first in hertz"""
SEGMENT = 30
"""frames that are compared, 384 ms"""
RANGE = 40.0
"""dB: frames of the original that are quieter than its loudest by more are left out"""
LIMIT = 1 + 10 ** (15 / 20)
"""times the original: louder degraded bands count as this"""
_TINY = np.finfo(np.float64).eps


def stoi(reference: Samples, candidate: Samples, rate: int) -> float:
    """Both float32 [n], aligned. 0 where the speech is shorter than 384 ms."""
    a, b = (
        np.asarray(soxr.resample(samples.astype(np.float64), rate, RATE, quality="VHQ"))
        for samples in (reference, candidate)
    )
    a, b = _without_silence(a, b)
    if len(a) < FRAME:
        return 0.0
    x, y = _bands(a), _bands(b)
    if x.shape[1] < SEGMENT:
        return 0.0
    x, y = (np.lib.stride_tricks.sliding_window_view(bands, SEGMENT, axis=1) for bands in (x, y))
    scale = np.linalg.norm(x, axis=2, keepdims=True) / (np.linalg.norm(y, axis=2, keepdims=True) + _TINY)
    y = np.minimum(y * scale, x * LIMIT)
    return float(np.mean(np.sum(_unit(x) * _unit(y), axis=2)))


def _unit(segments: Values) -> Values:
    centred = segments - segments.mean(axis=2, keepdims=True)
    return np.asarray(centred / (np.linalg.norm(centred, axis=2, keepdims=True) + _TINY))


def _window() -> Values:
    window: Values = np.hanning(FRAME + 2)[1:-1]
    return window


def _without_silence(reference: Values, candidate: Values) -> tuple[Values, Values]:
    """Both without the frames in which the reference is silent, joined by overlapping and adding."""
    window, hop = _window(), FRAME // 2
    frames = [framed(samples[:-1], FRAME, hop) * window for samples in (reference, candidate)]  # as upstream
    energies = 20 * np.log10(np.linalg.norm(frames[0], axis=1) + _TINY)
    kept = energies > energies.max() - RANGE
    joined = []
    for selected in (frames[0][kept], frames[1][kept]):
        sound = np.zeros((len(selected) + 1) * hop)
        for i, frame in enumerate(selected):
            sound[i * hop :][:FRAME] += frame
        joined.append(sound)
    return joined[0], joined[1]


def _bands(samples: Values) -> Values:
    """[15, frames]: the amplitude in each third of an octave."""
    frames = framed(samples[:-1], FRAME, FRAME // 2) * _window()  # upstream leaves the last one out
    power = np.square(np.abs(np.fft.rfft(frames, POINTS)))
    hertz = np.linspace(0, RATE / 2, POINTS // 2 + 1)
    centres = LOWEST * 2 ** (np.arange(BANDS) / 3)
    edges = [(np.abs(hertz - centre * 2 ** (side / 6)).argmin()) for centre in centres for side in (-1, 1)]
    sums = [power[:, low:high].sum(axis=1) for low, high in zip(edges[::2], edges[1::2], strict=True)]
    amplitudes: Values = np.sqrt(np.stack(sums))
    return amplitudes
