"""A model of each task, as its family implements it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from math import sqrt
from typing import TYPE_CHECKING, Protocol

from sonorant.tasks.audio import AudioChunk, SpeechSpan
from sonorant.tasks.described import Described
from sonorant.tasks.requests import SpeechRequest, TranscriptionRequest
from sonorant.tasks.transcript import TranscriptEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sonorant.audio.endpointing import Endpointing


class Synthesizer(Protocol):
    """Text to speech. Whole texts are the special case of a stream with one item."""

    def describe(self) -> Described: ...

    def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]: ...


class Recognizer(Protocol):
    """Speech to text. Audio comes at the rate that `describe().sample_rate` names."""

    def describe(self) -> Described: ...

    def recognize(
        self, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[TranscriptEvent, None]: ...


class Detector(Protocol):
    """Voice activity detection: the stretches of a stream in which somebody speaks, as they end."""

    def describe(self) -> Described: ...

    def detect(
        self, audio: AsyncIterator[AudioChunk], endpointing: Endpointing | None = None
    ) -> AsyncGenerator[SpeechSpan, None]: ...


class Normalizer(Protocol):
    """Text normalisation (TN: "$5" → "five dollars") and its inverse (ITN)."""

    def describe(self) -> Described: ...

    def spoken(self, text: str, language: str) -> str:
        """TN: written form → the words a person would say."""
        ...

    def written(self, text: str, language: str) -> str:
        """ITN: words as they were said → the form one would write."""
        ...

    def simplified(self, text: str) -> str:
        """Traditional Chinese characters → simplified ones; everything else as it is."""
        ...


class Embedder(Protocol):
    """Speaker embedding: a voice as a vector, by which speakers are told apart (see `similarity`)."""

    def describe(self) -> Described: ...

    async def embed(self, audio: AsyncIterator[AudioChunk]) -> NDArray[np.float32]:
        """One speaker's audio, at the rate that `describe().sample_rate` names → float32 [n], of length 1.

        Hears as much of it as makes a good embedding and no more. Raises AudioError where it is too short.
        """
        ...


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The cosine between two embeddings of one model, or means of them: -1 to 1."""
    return float(a @ b) / sqrt((a @ a) * (b @ b))


class Vocoder(Protocol):
    """A mel spectrogram to sound. Mel spectrograms come in pieces of any length: float32 [bins, n]."""

    def describe(self) -> Described: ...

    def analyse(self, audio: AsyncIterator[AudioChunk]) -> AsyncGenerator[NDArray[np.float32], None]:
        """Audio, at the rate that `describe().sample_rate` names → its mel spectrogram.

        Raises AudioError where it is too short for one.
        """
        ...

    def vocode(self, mel: AsyncIterator[NDArray[np.float32]]) -> AsyncGenerator[AudioChunk, None]:
        """The sound, in windows as soon as they can be computed; together what one run over all would give.

        Raises RequestError for what is no mel spectrogram of this vocoder's.
        """
        ...


class Scorer(Protocol):
    """How good speech sounds: the mean opinion of listeners (MOS), predicted."""

    def describe(self) -> Described: ...

    async def score(self, audio: AsyncIterator[AudioChunk]) -> float:
        """Audio at the rate that `describe().sample_rate` names → 1 (bad) to 5 (excellent).

        Raises AudioError where there is none.
        """
        ...


Servable = Synthesizer | Recognizer | Detector | Normalizer | Embedder | Scorer | Vocoder
