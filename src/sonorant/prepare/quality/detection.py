"""Voice activity detection: two models look for speech in the same recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import AudioError
from sonorant.prepare.quality.figures import Figure, Figures
from sonorant.prepare.quality.recordings import Recording

if TYPE_CHECKING:
    from sonorant.library import Model

FRAME_SECONDS = 0.010
LONG = 0.5
"""seconds: shorter stretches come and go with noise that nobody hears"""
Spans = Sequence[tuple[float, float]]
"""(start, end) of each stretch of speech, seconds"""


def measure(reference: Model, candidate: Model, recordings: Sequence[Recording]) -> Figures:
    """What both find in each recording."""
    found = [
        [model.detect(recording.audio).result() for recording in recordings]
        for model in (reference, candidate)
    ]
    return compare(found[0], found[1], [recording.audio.seconds for recording in recordings])


def compare(reference: Sequence[Spans], candidate: Sequence[Spans], seconds: Sequence[float]) -> Figures:
    """The stretches of both in recordings that are so long. Raises AudioError where nothing pairs up."""
    if not seconds or not len(reference) == len(candidate) == len(seconds):
        raise AudioError(
            f"{len(reference)} answers of the reference and {len(candidate)} of the candidate do not pair up",
            remedy="Give one of each for every recording",
        )
    a, b = (
        np.concatenate([_frames(spans, length) for spans, length in zip(found, seconds, strict=True)])
        for found in (reference, candidate)
    )
    both = int((a & b).sum())
    f1 = 2 * both / (int(a.sum()) + int(b.sum())) if a.any() or b.any() else 1.0
    missed = sum(
        not any(start < other_end and other_start < end for other_start, other_end in theirs)
        for ours, theirs in zip(reference, candidate, strict=True)
        for start, end in ours
        if end - start >= LONG
    )
    figures = Figures("vad", len(seconds))
    figures.values["disagreement"] = Figure(float(np.mean(a != b)))
    figures.values["f1_loss"] = Figure(1 - f1)
    figures.values["missed"] = Figure(missed)
    return figures


def _frames(spans: Spans, seconds: float) -> NDArray[np.bool_]:
    frames = np.zeros(max(1, round(seconds / FRAME_SECONDS)), bool)
    for start, end in spans:
        frames[round(start / FRAME_SECONDS) : round(end / FRAME_SECONDS)] = True
    return frames
