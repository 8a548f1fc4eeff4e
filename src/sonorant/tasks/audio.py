"""Audio as it travels: samples, encoded bytes, uploads, stretches of speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.tasks.transcript import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of one-channel audio."""

    samples: NDArray[np.float32]
    """float32 [n], in [-1, 1]"""
    sample_rate: int
    """hertz"""
    words: tuple[Word, ...] | None = None
    """when each word that ends in this chunk is spoken, from the chunk's start: one that began in the chunk
    before starts below 0; None = not measured"""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes of an encoded audio stream, in order; together they are one file."""

    data: bytes
    seconds: float
    """audio that entered the encoder since the last event, seconds (its bytes may come later)"""
    words: tuple[Word, ...] | None = None
    """the words in that audio, from the start of the stream; None = not measured"""
    spent: float = 0.0
    """device-seconds that the request has taken since its last event"""


@dataclass(frozen=True, slots=True)
class Upload:
    """Audio, or a mel spectrogram, as it came in, not decoded and not trusted: bytes, or a file of ours that
    holds them."""

    source: bytes | Path
    name: str = ""
    """what the sender called it; used in messages only, never opened"""

    @property
    def size(self) -> int:
        """bytes"""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """A stretch in which a detector heard speech."""

    start: int
    """first sample"""
    end: int
    """one past the last sample"""
    probability: float
    """mean speech probability of its frames"""
    samples: NDArray[np.float32]
    """float32 [end − start], in [-1, 1]"""
