"""Spectra as the ear resolves them, and how far two are apart."""

from __future__ import annotations

import functools

import numpy as np

from sonorant.prepare.quality.sound.frames import (
    FRAME_SECONDS,
    HOP_SECONDS,
    Samples,
    Values,
    framed,
    in_decibels,
)

BANDS = 80
LOWEST = 40.0
"""hertz"""
DEPTH = 60.0
"""dB: what lies further below the loudest band of the reference is inaudible beside it and counts as equal"""
STEP = 2
"""of how many frames one is warped: a fourth of the work, and 20 ms are shorter than a sound of speech"""
WINDOW = 5
"""frames (50 ms) over which the worst moment is averaged"""


@functools.lru_cache(maxsize=8)
def _filters(rate: int, size: int) -> Values:
    """[size // 2 + 1, bands]: triangles that overlap by half, evenly spaced in mel, up to half the rate."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    bottom = 2595 * np.log10(1 + LOWEST / 700)
    centres = 700 * (10 ** (np.linspace(bottom, top, BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(size, 1 / rate)[:, np.newaxis]
    rising = (hertz - centres[:-2]) / (centres[1:-1] - centres[:-2])
    falling = (centres[2:] - hertz) / (centres[2:] - centres[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(weights / np.maximum(weights.sum(axis=0), 1e-9))


def log_mel(samples: Samples, rate: int) -> Values:
    """[frames, 80]: dB of each mel band, in 25 ms every 10 ms."""
    size = round(FRAME_SECONDS * rate)
    points = 1 << (size - 1).bit_length() + 1  # narrow bands hold at least one point
    frames = framed(samples, size, round(HOP_SECONDS * rate)) * np.hanning(size)
    power = np.square(np.abs(np.fft.rfft(frames, points))) / size
    return in_decibels(power @ _filters(rate, points))


def distances(reference: Values, candidate: Values) -> Values:
    """[frames]: the log-spectral distance of frames that belong together, dB, over what can be heard.

    Both [frames, 80], of equally many frames.
    """
    floor = reference.max() - DEPTH
    difference = np.maximum(reference, floor) - np.maximum(candidate, floor)
    return np.asarray(np.sqrt(np.square(difference).mean(axis=1)))


def worst_moment(by_frame: Values) -> float:
    """The largest mean of 50 ms."""
    size = min(WINDOW, len(by_frame))
    return float(np.convolve(by_frame, np.ones(size) / size, "valid").max())


def warped_distance(reference: Values, candidate: Values) -> float:
    """The mean log-spectral distance where both say the same at another pace, dB (dynamic time warping).

    Both [frames, 80], of any number of frames; the mean is over the steps of the path.
    """
    floor = reference.max() - DEPTH
    a, b = np.maximum(reference[::STEP], floor), np.maximum(candidate[::STEP], floor)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    cost = np.sqrt(np.maximum(squares, 0) / a.shape[1])
    total, steps = _path(cost)
    return total / steps


def _path(cost: Values) -> tuple[float, int]:
    """The cheapest path through `cost` from corner to corner: its sum, and its steps."""
    rows, columns = cost.shape
    sums = np.full((rows + 1, columns + 1), np.inf)
    steps = np.zeros((rows + 1, columns + 1), int)
    sums[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):  # all cells of a diagonal at once
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        before = np.stack([sums[i, j], sums[i, j + 1], sums[i + 1, j]])
        chosen = np.argmin(before, axis=0)
        sums[i + 1, j + 1] = before[chosen, np.arange(len(i))] + cost[i, j]
        steps[i + 1, j + 1] = 1 + np.choose(chosen, [steps[i, j], steps[i, j + 1], steps[i + 1, j]])
    return float(sums[rows, columns]), int(steps[rows, columns])


def long_term(spectra: list[Values]) -> Values:
    """[20]: the mean power of each four bands over all of several log-mel spectra, dB."""
    power = np.mean(10 ** (np.concatenate(spectra) / 10), axis=0)
    return in_decibels(power.reshape(-1, 4).mean(axis=1))


def colouring(reference: list[Values], candidate: list[Values]) -> float:
    """The largest difference of the long-term spectra in any of 20 bands, dB, their levels made equal.

    What lies 60 dB below the loudest band counts as equal.
    """
    a, b = long_term(reference), long_term(candidate)
    a, b = a - a.max(), b - b.max()
    return float(np.abs(np.maximum(a, -DEPTH) - np.maximum(b, -DEPTH)).max())
