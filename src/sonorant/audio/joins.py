"""Joining spoken sentences: silence trimmed to what a speaker would leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAD_SECONDS = 0.05
SENTENCE_PAUSE_SECONDS = 0.30
PARAGRAPH_PAUSE_SECONDS = 0.60

_FRAME_SECONDS = 0.005
_FLOOR = 10 ** (-50 / 20)
"""a frame this far below the loudest one is silence; an h or f can lie 40 dB below a vowel"""


def with_pauses(
    samples: NDArray[np.float32], sample_rate: int, *, lead: float = LEAD_SECONDS, tail: float
) -> tuple[NDArray[np.float32], float]:
    """The same speech with `lead` seconds before its first sound and `tail` seconds after its last.

    Longer silence is cut, shorter is filled with zeros. samples: float32 [n]; all-silent audio comes
    back as it is. → the samples, and by how many seconds they are later than before (negative where
    silence was cut).
    """
    frame = max(1, round(sample_rate * _FRAME_SECONDS))
    whole = len(samples) // frame
    loudness = np.sqrt(np.mean(np.square(samples[: whole * frame].reshape(whole, frame)), axis=1))
    loud = np.flatnonzero(loudness > _FLOOR * loudness.max(initial=0.0))
    if not len(loud) or not loudness[loud].any():
        return samples, 0.0
    first, last = int(loud[0]) * frame, (int(loud[-1]) + 1) * frame
    before, after = round(lead * sample_rate), round(tail * sample_rate)
    kept = samples[max(0, first - before) : last + after]
    missing_before = max(0, before - first)
    missing_after = max(0, last + after - len(samples))
    padded = np.pad(kept, (missing_before, missing_after)) if missing_before or missing_after else kept
    return padded, (before - first) / sample_rate


def pause_after(*, paragraph: bool) -> float:
    """Seconds of silence after a sentence."""
    return PARAGRAPH_PAUSE_SECONDS if paragraph else SENTENCE_PAUSE_SECONDS
