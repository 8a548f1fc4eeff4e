"""Joining spoken sentences: silence trimmed to what a speaker would leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAD_SECONDS = 0.05
SENTENCE_PAUSE_SECONDS = 0.30
PARAGRAPH_PAUSE_SECONDS = 0.60

_FRAME_SECONDS = 0.005
FLOOR = 10 ** (-50 / 20)
"""a frame this far below the loudest one is silence; an h or f can lie 40 dB below a vowel"""


def with_pauses(
    samples: NDArray[np.float32], sample_rate: int, *, lead: float = LEAD_SECONDS, tail: float
) -> tuple[NDArray[np.float32], float]:
    """The same speech with `lead` seconds before its first sound and `tail` seconds after its last.

    Longer silence is cut, shorter is filled with zeros. samples: float32 [n]; all-silent audio comes
    back as it is. → the samples, and by how many seconds they are later than before (negative where
    silence was cut).
    """
    first, last = sound(samples, sample_rate)
    if first == last:
        return samples, 0.0
    before, after = round(lead * sample_rate), round(tail * sample_rate)
    kept = samples[max(0, first - before) : last + after]
    missing_before = max(0, before - first)
    missing_after = max(0, last + after - len(samples))
    padded = np.pad(kept, (missing_before, missing_after)) if missing_before or missing_after else kept
    return padded, (before - first) / sample_rate


def sound(samples: NDArray[np.float32], sample_rate: int) -> tuple[int, int]:
    """Where the sound in float32 [n] begins and ends, samples; the same where all is silent."""
    loudness, frame = levels(samples, sample_rate)
    loud = np.flatnonzero(loudness > FLOOR * loudness.max(initial=0.0))
    if not len(loud) or not loudness[loud].any():
        return 0, 0
    return int(loud[0]) * frame, (int(loud[-1]) + 1) * frame


def levels(samples: NDArray[np.float32], sample_rate: int) -> tuple[NDArray[np.float32], int]:
    """RMS of each whole frame of 5 ms: float32 [n]; and the samples in a frame."""
    frame = max(1, round(sample_rate * _FRAME_SECONDS))
    whole = len(samples) // frame
    return np.sqrt(np.mean(np.square(samples[: whole * frame].reshape(whole, frame)), axis=1)), frame


def pause_after(*, paragraph: bool) -> float:
    """Seconds of silence after a sentence."""
    return PARAGRAPH_PAUSE_SECONDS if paragraph else SENTENCE_PAUSE_SECONDS
