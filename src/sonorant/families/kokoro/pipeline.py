"""Text → sentences, each with its languages and a voice that knows them → phonemes → waveform."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.joins import CLAUSE_PAUSE_SECONDS, pause_after, with_pauses
from sonorant.errors import ModelFileError, UnsupportedError
from sonorant.families.kokoro.layout import SAMPLE_RATE, find, read_vocabulary
from sonorant.families.kokoro.layout import voices as voices_of
from sonorant.families.kokoro.networks import DURATION_STEP, DURATIONS, ROOM, Names, names, signature
from sonorant.families.kokoro.phonemes import spoken
from sonorant.families.kokoro.voices import level, mix, read_style, speaker, together
from sonorant.tasks import AudioChunk, Described, Normalizer, Pronunciation, SpeechRequest, Voice
from sonorant.text import mandarin
from sonorant.text.languages import Span, spans
from sonorant.text.phonemes import Piece, pieces
from sonorant.text.portions import portions
from sonorant.text.segment import Sentence
from sonorant.text.timing import as_written, shifted, word_times

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

LONGEST = 220
"""characters of a sentence"""
PACE = 2.5
"""seconds of speech that a second of computing gives on two cores, measured (benchmarks/first_audio.py)"""


@dataclass(frozen=True)
class Passage:
    """A sentence or a clause, and who says it."""

    text: str
    spans: tuple[Span, ...]
    """its parts in one language each, BCP 47"""
    voice: str
    """a voice or a mixture"""
    gain: float
    """evens out the difference to the voice that was asked for"""
    pause: float
    """seconds of silence after it"""


class Kokoro:
    """A `Synthesizer` for text in any mixture of its languages."""

    def __init__(
        self,
        card: ModelCard,
        network: Network,
        tensors: Names,
        voices: tuple[Voice, ...],
        styles: Mapping[str, NDArray[np.float32]],
        vocabulary: Mapping[str, int],
        normalizer: Normalizer,
        host: Host,
    ) -> None:
        self._card, self._network, self._names = card, network, tensors
        self._voices = {voice.name: voice for voice in voices}
        self._styles, self._vocabulary = styles, vocabulary
        self._normalizer, self._host = normalizer, host

    def describe(self) -> Described:
        return replace(
            self._card.described(),
            voices=tuple(self._voices.values()),
            voice_mixing=True,
            sample_rate=SAMPLE_RATE,
            word_times=self._names.timed,
        )

    async def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]:
        """One chunk a sentence, float32 at 24 kHz. A long first sentence comes in clauses.

        Raises UnsupportedError for text in a language that no voice here knows.
        """
        speed = np.array([request.speed], np.float32)
        async with aclosing(portions(text, LONGEST, PACE)) as parts:
            async for part in parts:
                passage = self.passage(part, request.voice, request.language)
                for piece in await self._host.call(self._pieces, passage, request.lexicon):
                    yield await self._spoken(passage, piece, speed)

    def passage(self, sentence: Sentence, voice: str, language: str = "") -> Passage:
        """Who says a sentence. `language` (BCP 47) holds for all of it.

        Where it is in several languages, a mixture of voices that know them says all of it: voices that take
        turns are cut into words without context (benchmarks/roundtrip.py --language mixed). Raises
        UnsupportedError.
        """
        home = (language or self._language(voice)).split("-")[0]
        found = (not language and spans(sentence.text, home)) or [Span(home, sentence.text)]
        speakers = {span.language: self._speaker(voice, span.language) for span in found}
        who = together(voice, list(speakers.values()))
        pause = pause_after(paragraph=sentence.paragraph) if sentence.ends else CLAUSE_PAUSE_SECONDS
        return Passage(
            sentence.text,
            tuple(Span(self._language(speakers[span.language]), span.text) for span in found),
            who,
            level(voice) / level(who),
            pause,
        )

    def _speaker(self, voice: str, language: str) -> str:
        who = speaker(self._voices, voice, language)
        if not who:
            raise UnsupportedError(
                f"{self._card.name} has no voice that speaks {language!r}",
                why=f"It speaks {', '.join(self._card.languages)}",
                remedy="Leave that passage out, or choose another model",
                param="input",
            )
        return who

    def _language(self, voice: str) -> str:
        return self._voices[voice.split("+")[0].split("*")[0]].language

    def _pieces(self, passage: Passage, lexicon: Sequence[Pronunciation]) -> list[Piece]:
        found = spoken(passage.spans, self._normalizer, lexicon)
        return pieces(found, self._vocabulary, ROOM)

    async def _spoken(self, passage: Passage, piece: Piece, speed: NDArray[np.float32]) -> AudioChunk:
        style = mix(self._styles, passage.voice)[min(len(piece.ids), ROOM - 1)]
        feeds = {
            self._names.tokens: np.array([[0, *piece.ids, 0]], np.int64),
            "style": style[np.newaxis].astype(np.float32),
            "speed": speed,
        }
        outputs = await self._network.run(**feeds)
        audio = outputs[self._names.audio].reshape(-1) * np.float32(passage.gain)
        samples, shift = with_pauses(audio, SAMPLE_RATE, tail=passage.pause)
        words = None
        if self._names.timed:
            durations = outputs[DURATIONS][0].tolist()
            times = word_times(piece.words, piece.sizes, durations, DURATION_STEP)
            sound = len(samples) / SAMPLE_RATE - passage.pause
            words = shifted(as_written(passage.text, times), shift, sound)
        return AudioChunk(np.clip(samples, -1, 1), SAMPLE_RATE, words)


def load(card: ModelCard, folder: Path, host: Host) -> Kokoro:
    """Raises ModelFileError."""
    files = find(folder)
    if files is None:
        raise ModelFileError(
            f"{card.name}: the folder lacks the model, its vocabulary or its voices",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    engine = host.engine("kokoro", files.model, exposed=(DURATIONS,))
    tensors = names(engine.inputs, engine.outputs)
    network = host.network("kokoro", signature(tensors), engine)
    styles = {name: read_style(path) for name, path in files.voices.items()}
    vocabulary = read_vocabulary(files.vocabulary)
    part = host.part("normalizer")
    if any(voice.language.startswith("zh") for voice in voices_of(files)):
        mandarin.units("你好")  # its dictionaries are read now, and not while somebody waits
    return Kokoro(card, network, tensors, voices_of(files), styles, vocabulary, part, host)
