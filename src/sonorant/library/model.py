"""A model that is loaded: what it can be asked, in plain and in async programs."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import UnsupportedError
from sonorant.library.answers import Speech, Transcript
from sonorant.library.given import Audio, Text, pieces_of, resampled, uploaded
from sonorant.replica import Replicas
from sonorant.settings import Settings
from sonorant.stream import Answer, Loop, running_loop
from sonorant.tasks import (
    AudioChunk,
    Delivery,
    Described,
    Normalizer,
    Quality,
    Segment,
    SpeechRequest,
    State,
    Task,
    TranscriptEnd,
    TranscriptionRequest,
    Upload,
    VocodingRequest,
)
from sonorant.text.lexicon import entries
from sonorant.text.markup import is_markup, parse

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress


class Model:
    """A loaded model. Close it, or leave that to the end of the process."""

    def __init__(self, name: str, settings: Settings, progress: Progress | None = None) -> None:
        self._loop = _loop()
        self._replicas = Replicas(settings, [name])
        self._replica = self._replicas.all[0]
        self._loop.run(self._replica.start(progress))
        if self._replica.state is not State.READY:
            self.close()
            raise self._replica.failure

    @property
    def name(self) -> str:
        return self._replica.name

    def describe(self) -> Described:
        """Voices, languages, sample rate, licence."""
        return self._replica.describe()

    def say(
        self,
        text: Text,
        *,
        voice: str = "",
        speed: float = 1.0,
        language: str = "",
        instructions: str = "",
        lexicon: Mapping[str, Mapping[str, str]] | None = None,
        seed: int | None = None,
        sample_rate: int | None = None,
        loudness: float | None = None,
        trim_silence: bool = False,
        quality: str = "",
    ) -> Speech:
        """Speak `text`: a string (plain or SSML), or strings as they come.

        `sample_rate`: hertz, 8,000 to 48,000, in place of the voice's own. `loudness`: LUFS, −31 to −9 (EBU
        R128), with true peaks of at most −1 dBTP. `trim_silence`: none at either end.

        `lexicon`: language → word → reading, {"en": {"GIF": "/dʒɪf/", "Sonorant": "SON or ant"}}.
        `quality`: high, balanced or fast (高保真, 平衡, 快速), for models that have tiers.
        Problems are raised when the stream is read; those of markup, lexicon and quality at once.
        """
        request = SpeechRequest(
            model=self.name,
            voice=voice,
            speed=speed,
            language=language,
            instructions=instructions,
            lexicon=entries(lexicon or {}),
            seed=seed,
            quality=Quality.of(quality),
        )
        markup = parse(text) if isinstance(text, str) and is_markup(text) else None
        home = running_loop() if isinstance(text, AsyncIterable) else None
        pieces = markup.utterances if markup else pieces_of(text, home)
        delivery = Delivery(sample_rate=sample_rate, loudness=loudness, trim_silence=trim_silence)
        speech = Speech(self._loop, self._replica.mastered(request, pieces, delivery), home)
        speech.sample_rate = sample_rate or self._replica.describe().sample_rate or 0
        speech.ignored = markup.ignored if markup else ()
        return speech

    def transcribe(
        self,
        audio: Audio,
        *,
        language: str = "",
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
        itn: bool = False,
        translate: bool = False,
        quality: str = "",
    ) -> Transcript:
        """Write down a file (path or bytes, any format) or samples. Problems are raised when read.

        `quality`: high, balanced or fast (高保真, 平衡, 快速), for models that have tiers: Whisper has.
        """
        request = TranscriptionRequest(
            model=self.name,
            language=language,
            prompt=prompt,
            temperature=temperature,
            words=words,
            itn=itn,
            translate=translate,
            quality=Quality.of(quality),
        )
        heard = self._heard(audio)
        if isinstance(heard, Upload):
            events = self._replica.transcribe(request, heard)
        else:
            events = self._replica.recognize(request, heard)

        async def segments() -> AsyncIterator[Segment]:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, TranscriptEnd):
                        transcript.duration = event.duration
                    else:
                        yield event

        transcript = Transcript(self._loop, segments())
        return transcript

    def embed(self, audio: Audio) -> Answer[NDArray[np.float32]]:
        """The voice in a recording of one speaker, as float32 [n] of length 1; see sonorant.similarity."""
        return Answer(self._loop, self._replica.embed(self._heard(audio)))

    def vocode(
        self,
        source: NDArray[np.float32] | Audio,
        *,
        sample_rate: int | None = None,
        loudness: float | None = None,
    ) -> Speech:
        """Sound from a mel spectrogram, float32 [bins, frames]; or from that of a recording (copy synthesis).

        A path may also be that of a .npy file. `sample_rate` and `loudness` as for `say`. Problems are raised
        when the stream is read.
        """
        what = source if isinstance(source, np.ndarray) else self._heard(source)
        delivery = Delivery(sample_rate=sample_rate, loudness=loudness)
        speech = Speech(self._loop, self._replica.vocoded(VocodingRequest(model=self.name), what, delivery))
        speech.sample_rate = sample_rate or self._replica.describe().sample_rate or 0
        return speech

    def score(self, audio: Audio) -> Answer[float]:
        """How good speech sounds, as listeners would rate it: 1 (bad) to 5 (excellent)."""
        return Answer(self._loop, self._replica.score(self._heard(audio)))

    def detect(self, audio: Audio) -> Answer[list[tuple[float, float]]]:
        """The stretches in which somebody speaks: (start, end), seconds."""
        source = self._heard(audio)
        rate = self._replica.describe().sample_rate or 16_000

        async def spans() -> list[tuple[float, float]]:
            async with aclosing(self._replica.detect(source)) as found:
                return [(span.start / rate, span.end / rate) async for span in found]

        return Answer(self._loop, spans())

    def normalize(self, text: str, language: str, *, inverse: bool = False) -> str:
        """TN ("$5" → "five dollars"), or with `inverse` ITN, by a text normalisation model."""
        if self._replica.task is not Task.NORMALIZATION:
            raise UnsupportedError(
                f"{self.name} does not normalise text", remedy='Use sonorant.load("wetext")'
            )
        normalizer = cast(Normalizer, self._replica.pipeline)
        return normalizer.written(text, language) if inverse else normalizer.spoken(text, language)

    def close(self) -> None:
        """Free the model. The end of the process does it too: no decoder outlives its owner."""
        self._loop.run(self._replicas.close())

    def _heard(self, audio: Audio) -> Upload | AsyncGenerator[AudioChunk, None]:
        if isinstance(audio, AudioChunk):
            return resampled(audio, self._replica.describe().sample_rate or 16_000)
        return uploaded(audio)


_lock = threading.Lock()
_shared_loop: Loop | None = None


def _loop() -> Loop:
    global _shared_loop
    with _lock:
        _shared_loop = _shared_loop or Loop()
        return _shared_loop
