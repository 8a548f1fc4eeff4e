"""Two recordings of the same signal, laid one over the other."""

from __future__ import annotations

import numpy as np

from sonorant.prepare.quality.sound.frames import Samples

FURTHEST = 0.002
"""seconds: another resampler's or filter's delay; no listener hears it, and a hop is longer"""


def shift(reference: Samples, candidate: Samples, rate: int) -> int:
    """By how many samples `candidate` is late, at most 2 ms either way: most alike or opposed."""
    furthest = round(FURTHEST * rate)
    size = min(len(reference), len(candidate))
    points = 1 << (2 * size).bit_length()
    spectra = [np.fft.rfft(samples[:size].astype(np.float64), points) for samples in (reference, candidate)]
    correlation = np.fft.irfft(np.conj(spectra[0]) * spectra[1], points)
    around = np.concatenate([correlation[-furthest:], correlation[: furthest + 1]])
    return int(np.abs(around).argmax()) - furthest


def laid_over(reference: Samples, candidate: Samples, rate: int) -> tuple[Samples, Samples]:
    """Both without the delay between them and of one polarity, which nobody hears, cut to the shorter one."""
    late = shift(reference, candidate, rate)
    reference, candidate = reference[max(0, -late) :], candidate[max(0, late) :]
    size = min(len(reference), len(candidate))
    reference, candidate = reference[:size], candidate[:size]
    opposed = float(np.dot(reference.astype(np.float64), candidate.astype(np.float64))) < 0
    return reference, -candidate if opposed else candidate
