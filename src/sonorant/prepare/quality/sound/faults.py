"""Faults that a single recording shows: no numbers, clipping, clicks, gaps."""

from __future__ import annotations

import numpy as np

from sonorant.prepare.quality.sound.frames import (
    HOP_SECONDS,
    PAUSE,
    Samples,
    framed,
    in_decibels,
    levels,
    speech_level,
)

SILENT = -60.0
"""dB of full scale: a recording whose speech is quieter says nothing"""
FLAT, FLAT_RUN = 1e-4, 3
"""samples at the peak that differ by less, this many in a row, are cut off"""
SHARP = 30.0
"""times the usual bend of the 20 ms around it: a click. Real speech bends up to 20 times as much"""
BEND = 0.02
"""of full scale: a smaller bend is not heard as a click"""
HOLE = 0.002
"""seconds without movement in the middle of sound"""
HUSH = -50.0
"""dB from the level of speech: noise below it is not heard beside speech, however much there is of it"""


def is_broken(samples: Samples, rate: int) -> bool:
    """Whether there is nothing to hear: no samples, not a number, or silence."""
    if not len(samples) or not np.isfinite(samples).all():
        return True
    return speech_level(levels(samples, rate)) < SILENT


def clipped(samples: Samples) -> float:
    """The share of samples in runs of three or more that stand still at the loudest value."""
    if not len(samples):
        return 0.0
    loud = np.abs(samples)
    flat = loud >= (1 - FLAT) * max(float(loud.max()), 1e-6)
    runs = np.convolve(flat.astype(int), np.ones(FLAT_RUN, int), "valid") == FLAT_RUN
    return float(np.convolve(runs.astype(int), np.ones(FLAT_RUN, int)).astype(bool).sum()) / len(samples)


def clicks(samples: Samples, rate: int) -> int:
    """Sudden bends of the wave (its second difference) that stand far above those around them.

    Those in adjacent stretches of 5 ms are one.
    """
    bend = np.abs(np.diff(np.asarray(samples, np.float64), 2))
    block = max(1, round(0.005 * rate))
    blocks = framed(bend, block, block)
    # the median of a block is not moved by a click in it; its neighbours tell what is usual here
    usual = np.median(blocks, axis=1)
    padded = np.pad(usual, 2, mode="edge")
    around = np.max(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    sharp = (blocks.max(axis=1) > SHARP * around) & (blocks.max(axis=1) > BEND)
    return int(np.sum(np.diff(sharp.astype(int), prepend=0) > 0))


def longest_gap(samples: Samples, rate: int) -> float:
    """The longest pause between the first and the last sound, seconds."""
    decibels = levels(samples, rate)
    silent = decibels < speech_level(decibels) + PAUSE
    inside = silent[int(np.argmin(silent)) : len(silent) - int(np.argmin(silent[::-1]))]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    lengths = edges[1::2] - edges[::2]
    return float(lengths.max() * HOP_SECONDS) if len(lengths) else 0.0


def holes(samples: Samples, rate: int) -> int:
    """Stretches of at least 2 ms without any movement, with loud sound within 5 ms on both sides.

    No voice that breathes does that; a frame that was not filled in does.
    """
    moving = np.flatnonzero(np.abs(np.diff(samples)) > 1e-6)
    still = np.flatnonzero(np.diff(moving) > HOLE * rate)
    near = round(0.005 * rate)
    loud = 10 ** ((speech_level(levels(samples, rate)) - 25) / 20)

    def is_loud(start: int, end: int) -> bool:
        return bool(np.sqrt(np.mean(np.square(samples[max(0, start) : end + 1], dtype=np.float64))) > loud)

    found = ((int(moving[at]), int(moving[at + 1])) for at in still)
    return sum(is_loud(start - near, start) and is_loud(end + 1, end + near) for start, end in found)


def noise_floor(samples: Samples, rate: int) -> float:
    """The level of the quietest twentieth of its frames, dB from the level of speech; `HUSH` at the least."""
    decibels = levels(samples, rate)
    return float(max(HUSH, np.percentile(decibels, 5) - speech_level(decibels)))


def cut_off(samples: Samples, rate: int) -> bool:
    """Whether the sound breaks off: its last 10 ms are within 30 dB of the level of speech."""
    tail = np.square(samples[-round(HOP_SECONDS * rate) :], dtype=np.float64).mean(keepdims=True)
    return bool(in_decibels(tail)[0] > speech_level(levels(samples, rate)) - 30)
