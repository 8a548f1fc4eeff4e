"""Signals that should be the same, laid sample over sample."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import soxr

from sonorant.networks.proof import Note
from sonorant.prepare.quality.figures import Figure, largest
from sonorant.prepare.quality.sound import spectra
from sonorant.prepare.quality.sound.alignment import laid_over
from sonorant.prepare.quality.sound.frames import Samples
from sonorant.prepare.quality.sound.stoi import stoi

ALIGNED = ("log_mel", "worst_moment", "residual", "stoi_loss", "pesq_loss")
PESQ_RATE, PESQ_BEST = 16_000, 4.644
"""hertz; what wide-band PESQ gives for two equal signals"""


def aligned(pairs: Sequence[tuple[Samples, Samples, int]]) -> tuple[dict[str, Figure], dict[str, Note]]:
    """Of each (reference, candidate, rate) → the figures, and why some are missing."""
    over = [(*laid_over(a, b, rate), rate) for a, b, rate in pairs]
    apart = [spectra.distances(spectra.log_mel(a, rate), spectra.log_mel(b, rate)) for a, b, rate in over]
    found = {
        "log_mel": largest([float(frames.mean()) for frames in apart]),
        "worst_moment": largest([spectra.worst_moment(frames) for frames in apart]),
        "residual": largest([residual(a, b) for a, b, _ in over]),
        "stoi_loss": largest([1 - stoi(a, b, rate) for a, b, rate in over]),
    }
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return found, {"pesq_loss": Note("pesq is not installed: pip install 'sonorant[quality]'")}
    losses = []
    for a, b, rate in over:
        wide = [soxr.resample(samples, rate, PESQ_RATE) for samples in (a, b)]
        score = pesq(PESQ_RATE, *wide, "wb", on_error=PesqError.RETURN_VALUES)
        losses.append(PESQ_BEST - score if score > 0 else PESQ_BEST - 1)
    return found | {"pesq_loss": largest(losses)}, {}


def residual(reference: Samples, candidate: Samples) -> float:
    """The largest single difference, in parts of the reference's peak, beyond three times those around it.

    A click that speech covers is found in what is left when the speech is taken away.
    """
    left = np.abs(candidate.astype(np.float64) - reference)
    if not len(left):
        return 0.0
    size = 64
    around = np.array([float(np.median(block)) for block in _blocks(left, size)])
    above = np.array([float(block.max()) for block in _blocks(left, size)]) - 12 * around
    return float(max(0.0, above.max())) / max(1e-6, float(np.abs(reference).max()))


def _blocks(values: np.ndarray, size: int) -> Sequence[np.ndarray]:
    edges = [*range(0, len(values), size), len(values)]
    return [values[a:b] for a, b in itertools.pairwise(edges) if b > a]
