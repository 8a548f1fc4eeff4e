"""Bringing a stream to a loudness (EBU R128) while it is being made."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.limiter import Limiter
from sonorant.audio.loudness import BLOCK_SECONDS, Meter
from sonorant.errors import RequestError

LOWEST, HIGHEST = -31.0, -9.0
"""LUFS that can be asked for"""
CEILING = -1.0
"""dBTP"""

_AIM = CEILING - 0.2
"""dBTP: what interpolation and the gain's own movement may miss"""
_MOST_GAIN = 30.0
"""dB; what would need more is noise, not a voice"""
_GLIDE_SECONDS = 0.1
"""from one gain to the next"""
_MOST_MAKE_UP, _ROUNDS, _TOLERANCE = 8.0, 6, 0.15
"""dB to win back what the limiter takes; times it is measured; dB that are near enough"""
_STEP = 1.6
"""the limiter eats a part of what is added: so much more is tried"""


class Leveller:
    """One stream's leveller.

    The future is not known: the gain is what brings everything heard so far, the newest stretch
    included, to the target. So the first stretch meets it by itself, and with each one the gain settles
    on the voice's own loudness. A limiter keeps true peaks under −1 dBTP; what it takes is made up for by
    8 dB at most. Speech has peaks 12 to 20 dB above its loudness: beyond −14 LUFS it can stay quieter
    than asked. The first 0.4 s, one measuring block, are held back, and 7 ms always.
    """

    def __init__(self, sample_rate: int, target: float) -> None:
        """Hertz; LUFS. Raises RequestError for a target that is out of range."""
        if not LOWEST <= target <= HIGHEST:
            raise RequestError(
                f"The loudness {target:g} LUFS is not possible",
                remedy=f"Choose {LOWEST:g} to {HIGHEST:g}; −16 suits phones and the web, −23 broadcasting",
                param="loudness",
            )
        self._rate, self._target = sample_rate, target
        self._meter, self._limiter = Meter(sample_rate), Limiter(sample_rate, _AIM)
        self._held = np.zeros(0, np.float32)
        self._gain: float | None = None
        """dB in force; None = nothing has come out yet"""

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] → float32 [m], what is ready so far."""
        self._held = np.concatenate([self._held, samples])
        if self._gain is None and len(self._held) < BLOCK_SECONDS * self._rate:
            return self._held[:0]
        return self._level()

    def flush(self) -> NDArray[np.float32]:
        """float32 [m]: the rest. Call it once, at the end of the stream."""
        return np.concatenate([self._level(), self._limiter.flush()])

    def _level(self) -> NDArray[np.float32]:
        samples, self._held = self._held, self._held[:0]
        if not len(samples):
            return samples
        self._meter.add(samples)
        loudness = self._meter.integrated()
        gain = self._gain or 0.0
        if loudness is not None:
            gain = min(self._target - loudness, _MOST_GAIN)
            gain += self._make_up(_amplified(samples, gain))
        glide = np.linspace(
            gain if self._gain is None else self._gain, gain, round(_GLIDE_SECONDS * self._rate)
        )
        gains = np.full(len(samples), gain, np.float32)
        gains[: len(glide)] = glide[: len(samples)]
        self._gain = float(gains[-1])
        return self._limiter.process(_amplified(samples, gains))

    def _make_up(self, samples: NDArray[np.float32]) -> float:
        """dB more, for the limiter to leave these samples as loud as they are."""
        wanted = self._loudness(samples)
        added = 0.0
        for _ in range(_ROUNDS if np.abs(samples).max() > 10 ** (_AIM / 20) / 2 else 0):
            limiter = Limiter(self._rate, _AIM)
            louder = _amplified(samples, added)
            missing = wanted - self._loudness(np.concatenate([limiter.process(louder), limiter.flush()]))
            if not abs(missing) > _TOLERANCE:  # NaN, too, where all is silence
                break
            added = min(max(0.0, added + _STEP * missing), _MOST_MAKE_UP)
        return added

    def _loudness(self, samples: NDArray[np.float32]) -> float:
        meter = Meter(self._rate)
        meter.add(samples)
        loudness = meter.integrated()
        return math.nan if loudness is None else loudness


def _amplified(samples: NDArray[np.float32], gain: float | NDArray[np.float32]) -> NDArray[np.float32]:
    """gain: dB."""
    return (samples * np.float32(10) ** (np.float32(1 / 20) * gain)).astype(np.float32)
