"""Predictors of how good speech sounds: two of them hear the same, from clean to hardly bearable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import AudioError
from sonorant.networks.proof import Note
from sonorant.prepare.quality.figures import Figure, Figures, largest
from sonorant.prepare.quality.recordings import Recording
from sonorant.tasks import AudioChunk

if TYPE_CHECKING:
    from sonorant.library import Model

PIECE_SECONDS = 6.0
PIECES = 3
"""of each recording"""
NOISE_DB = (30.0, 15.0)
"""below speech"""


def measure(reference: Model, candidate: Model, recordings: Sequence[Recording]) -> Figures:
    """Pieces of the recordings as they are, and with noise."""
    heard = [each for recording in recordings for each in _heard(recording.audio)]
    found = [[model.score(each).result() for each in heard] for model in (reference, candidate)]
    return compare(found[0], found[1])


def compare(reference: Sequence[float], candidate: Sequence[float]) -> Figures:
    """MOS of the same pieces. Raises AudioError where nothing pairs up."""
    if not reference or len(reference) != len(candidate):
        raise AudioError(
            f"{len(reference)} answers of the reference and {len(candidate)} of the candidate do not pair up",
            remedy="Give one of each for every recording",
        )
    figures = Figures("opinion", len(reference))
    shifts = np.subtract(candidate, reference)
    broken = np.flatnonzero(~np.isfinite(shifts))
    figures.values["broken"] = Figure(len(broken), worst=int(broken[0]) if len(broken) else None)
    if len(broken):
        figures.unmeasured |= dict.fromkeys(("shift", "largest_shift"), Note("some opinions are none"))
        return figures
    figures.values["shift"] = Figure(abs(float(shifts.mean())))
    figures.values["largest_shift"] = largest([abs(float(shift)) for shift in shifts])
    return figures


def _heard(audio: AudioChunk) -> Iterator[AudioChunk]:
    size = round(PIECE_SECONDS * audio.sample_rate)
    starts = range(0, max(1, len(audio.samples) - size + 1), size)
    for start in list(starts)[:PIECES]:
        piece = audio.samples[start : start + size]
        yield AudioChunk(piece, audio.sample_rate)
        noise = np.random.default_rng(start).standard_normal(len(piece)).astype(np.float32)
        level = float(np.sqrt(np.mean(np.square(piece, dtype=np.float64))))
        for below in NOISE_DB:
            noisy = piece + np.float32(level * 10 ** (-below / 20)) * noise
            yield AudioChunk(noisy.clip(-1, 1), audio.sample_rate)
