"""Joining spoken sentences: silence trimmed to what a speaker would leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAD_SECONDS = 0.05
SENTENCE_PAUSE_SECONDS = 0.30
PARAGRAPH_PAUSE_SECONDS = 0.60
CLAUSE_PAUSE_SECONDS = 0.12
"""behind a clause that is spoken by itself"""

_FRAME_SECONDS = 0.005
FLOOR = 10 ** (-50 / 20)
"""a frame this far below the loudest one is silence; an h or f can lie 40 dB below a vowel"""
_HEARD = 10 ** (-40 / 20)
"""a frame above this is surely no noise before the voice"""


class Pauses:
    """Silence before and after a sentence whose sound comes in pieces.

    Longer silence is cut, shorter is filled with zeros; what may turn out to be the last is held back.
    """

    def __init__(self, sample_rate: int, lead: float = LEAD_SECONDS) -> None:
        """sample_rate in hertz; lead: seconds before the first sound"""
        self._rate, self._lead = sample_rate, round(lead * sample_rate)
        self._held = self._unmeasured = np.zeros(0, np.float32)
        self._loudest = 0.0
        self._began = False
        self.shift = 0.0
        """seconds by which the given samples are later than before, once the first are given; negative where
        silence was cut"""

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] → float32 [m]: up to the last sound so far."""
        return self._ready(samples, certain=False)

    def finish(self, tail: float) -> NDArray[np.float32]:
        """What is left and `tail` seconds of silence; all samples of a sentence in which nothing is heard."""
        ready = self._ready(np.zeros(0, np.float32), certain=True)
        rest = np.concatenate([self._held, self._unmeasured])
        if not self._began:
            return rest
        after = round(tail * self._rate)
        return np.concatenate([ready, np.pad(rest[:after], (0, max(0, after - len(rest))))])

    def _ready(self, samples: NDArray[np.float32], *, certain: bool) -> NDArray[np.float32]:
        samples = np.concatenate([self._unmeasured, samples])
        whole = len(samples) - len(samples) % frame_of(self._rate)
        held, self._unmeasured = np.concatenate([self._held, samples[:whole]]), samples[whole:]
        loudness, frame = levels(held, self._rate)
        self._loudest = max(self._loudest, float(loudness.max(initial=0.0)))
        loud = np.flatnonzero(loudness > FLOOR * self._loudest)
        # the noise before a voice is told from its first sound only when that has been heard
        if not len(loud) or not (self._began or certain or self._loudest > _HEARD):
            self._held = held
            return held[:0]
        end = (int(loud[-1]) + 1) * frame
        self._held = held[end:]
        if self._began:
            return held[:end]
        self._began = True
        first = int(loud[0]) * frame
        self.shift = (self._lead - first) / self._rate
        return np.pad(held[max(0, first - self._lead) : end], (max(0, self._lead - first), 0))


def with_pauses(
    samples: NDArray[np.float32], sample_rate: int, *, lead: float = LEAD_SECONDS, tail: float
) -> tuple[NDArray[np.float32], float]:
    """The same speech with `lead` seconds before its first sound and `tail` seconds after its last.

    samples: float32 [n]; all-silent audio comes back as it is. → the samples, and by how many seconds they
    are later than before (negative where silence was cut).
    """
    pauses = Pauses(sample_rate, lead)
    return np.concatenate([pauses.process(samples), pauses.finish(tail)]), pauses.shift


def sound(samples: NDArray[np.float32], sample_rate: int) -> tuple[int, int]:
    """Where the sound in float32 [n] begins and ends, samples; the same where all is silent."""
    loudness, frame = levels(samples, sample_rate)
    loud = np.flatnonzero(loudness > FLOOR * loudness.max(initial=0.0))
    if not len(loud) or not loudness[loud].any():
        return 0, 0
    return int(loud[0]) * frame, (int(loud[-1]) + 1) * frame


def levels(samples: NDArray[np.float32], sample_rate: int) -> tuple[NDArray[np.float32], int]:
    """RMS of each whole frame of 5 ms: float32 [n]; and the samples in a frame."""
    frame = frame_of(sample_rate)
    whole = len(samples) // frame
    return np.sqrt(np.mean(np.square(samples[: whole * frame].reshape(whole, frame)), axis=1)), frame


def frame_of(sample_rate: int) -> int:
    """Samples of 5 ms."""
    return max(1, round(sample_rate * _FRAME_SECONDS))


def pause_after(*, paragraph: bool) -> float:
    """Seconds of silence after a sentence."""
    return PARAGRAPH_PAUSE_SECONDS if paragraph else SENTENCE_PAUSE_SECONDS
