"""Speaker embedding: two models hear the same people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import AudioError
from sonorant.networks.proof import Note
from sonorant.prepare.quality.figures import Figure, Figures, largest
from sonorant.prepare.quality.recordings import Recording
from sonorant.tasks import AudioChunk, similarity

if TYPE_CHECKING:
    from sonorant.library import Model

PIECE_SECONDS = 3.0
PIECES = 4
"""of each recording"""
Vectors = Sequence[NDArray[np.float32]]


def measure(reference: Model, candidate: Model, recordings: Sequence[Recording]) -> Figures:
    """Each recording is of one speaker, another than those of the others; pieces of 3 s are embedded."""
    pieces = [(who, piece) for who, recording in enumerate(recordings) for piece in _pieces(recording.audio)]
    found = [[model.embed(piece).result() for _, piece in pieces] for model in (reference, candidate)]
    return compare(found[0], found[1], [who for who, _ in pieces])


def _pieces(audio: AudioChunk) -> list[AudioChunk]:
    size = round(PIECE_SECONDS * audio.sample_rate)
    starts = range(0, max(1, len(audio.samples) - size + 1), size)
    return [AudioChunk(audio.samples[start : start + size], audio.sample_rate) for start in starts][:PIECES]


def compare(reference: Vectors, candidate: Vectors, speakers: Sequence[int]) -> Figures:
    """The embeddings of the same pieces, and who speaks in each. Raises AudioError where nothing pairs up."""
    if not speakers or not len(reference) == len(candidate) == len(speakers):
        raise AudioError(
            f"{len(reference)} answers of the reference and {len(candidate)} of the candidate do not pair up",
            remedy="Give one of each for every recording",
        )
    figures = Figures("speaker", len(speakers))
    broken = [
        n
        for n, (a, b) in enumerate(zip(reference, candidate, strict=True))
        if a.shape != b.shape or not np.isfinite(b).all() or not b.any()
    ]
    figures.values["broken"] = Figure(len(broken), worst=broken[0] if broken else None)
    if broken:
        figures.unmeasured |= dict.fromkeys(("cosine_loss", "margin_loss"), Note("some embeddings are none"))
        return figures
    figures.values["cosine_loss"] = largest(
        [1 - similarity(a, b) for a, b in zip(reference, candidate, strict=True)]
    )
    margins = [_margin(vectors, speakers) for vectors in (reference, candidate)]
    if margins[0] is None or margins[1] is None:
        figures.unmeasured["margin_loss"] = Note("it takes two speakers, one of them in two pieces")
    else:
        figures.values["margin_loss"] = Figure(margins[0] - margins[1])
    return figures


def _margin(vectors: Vectors, speakers: Sequence[int]) -> float | None:
    """The mean similarity of pairs of one speaker less that of two speakers."""
    same: list[float] = []
    other: list[float] = []
    for (a, one), (b, another) in combinations(zip(vectors, speakers, strict=True), 2):
        (same if one == another else other).append(similarity(a, b))
    return float(np.mean(same) - np.mean(other)) if same and other else None
