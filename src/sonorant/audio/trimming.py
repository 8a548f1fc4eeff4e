"""Taking the silence off both ends of a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.joins import FLOOR, levels

KEPT_SECONDS = 0.015
"""of silence on either side, so that no onset is cut into"""
LONGEST_PAUSE_SECONDS = 30.0
"""of silence held back; the stream's end is looked for no further"""

_SILENCE = 10 ** (-60 / 20)
"""a frame below this is silence whatever else there is"""


class Trimmer:
    """One stream's trimmer. Silence is held back until it is known whether more sound follows."""

    def __init__(self, sample_rate: int) -> None:
        """hertz"""
        self._rate = sample_rate
        self._kept = round(sample_rate * KEPT_SECONDS)
        self._loudest = 0.0
        self._began = False
        self._held = np.zeros(0, np.float32)
        self._read = 0
        self.cut = 0
        """samples taken off the beginning so far"""
        self.end = 0
        """where, in samples of the input, what has been given ends"""

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] → float32 [m]: up to the last sound, and 15 ms behind it."""
        loudness, frame = levels(samples, self._rate)
        self._loudest = max(self._loudest, float(loudness.max(initial=0.0)))
        loud = np.flatnonzero(loudness > max(FLOOR * self._loudest, _SILENCE))
        held = np.concatenate([self._held, samples])
        before = self._read - len(self._held)
        self._read += len(samples)
        ready = 0
        if len(loud):
            first, last = (len(self._held) + int(i) * frame for i in (loud[0], loud[-1] + 1))
            ready = min(last + self._kept, len(held))
            if not self._began:
                start = max(0, first - self._kept)
                self.cut = before + start
                held, ready, before = held[start:], ready - start, before + start
                self._began = True
        ready = max(ready, len(held) - round(LONGEST_PAUSE_SECONDS * self._rate)) if self._began else ready
        self._held = held[ready:]
        self.end = before + ready
        return held[:ready]

    def flush(self) -> NDArray[np.float32]:
        """float32 [m]: nothing, or the whole of a stream without any sound."""
        return self._held if not self._began else self._held[:0]
