"""Text → normalised text → phonemes → waveform, sentence by sentence, each in windows where it can be cut."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sonorant.audio.joins import CLAUSE_PAUSE_SECONDS, Pauses, pause_after
from sonorant.errors import ModelFileError
from sonorant.families.piper.layout import VoiceConfig, model_file, read_config, voices
from sonorant.families.piper.networks import (
    DURATION_STEP,
    DURATIONS,
    FIRST_SECONDS,
    PHONEMES,
    QUIET,
    TRIED,
    WINDOW_SECONDS,
    signature,
)
from sonorant.families.piper.phonemes import check_front_end, symbols, to_ids, units
from sonorant.networks import streaming
from sonorant.networks.signature import Array
from sonorant.networks.streaming import Model, Streamed
from sonorant.tasks import (
    AudioChunk,
    Described,
    Normalizer,
    Pronunciation,
    SpeechRequest,
    Word,
    languages_match,
)
from sonorant.text import lexicon as own
from sonorant.text.phonemes import Piece, Unit
from sonorant.text.portions import portions
from sonorant.text.segment import Sentence, sentences
from sonorant.text.timing import as_written, shifted, word_times

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

LONGEST = 400
"""characters of a sentence"""
PACE = 8.0
"""seconds of speech that a second of computing gives on one core, of a voice that is not cut"""


class Piper:
    """A `Synthesizer`. Noise is drawn inside the network, so a seed changes nothing."""

    def __init__(
        self,
        card: ModelCard,
        config: VoiceConfig,
        voice: Network | Streamed,
        normalizer: Normalizer | None,
        host: Host,
        *,
        timed: bool,
    ) -> None:
        """voice: whole or in parts; normalizer: of its language; timed: the voice gives durations"""
        self._card, self._config, self._voice, self._host = card, config, voice, host
        self._normalizer, self._timed = normalizer, timed

    def describe(self) -> Described:
        return replace(
            self._card.described(),
            languages=(self._config.language,),
            voices=voices(self._config),
            sample_rate=self._config.sample_rate,
            word_times=self._timed,
            varied=self._config.noise_w > 0,
        )

    async def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]:
        """Several chunks a sentence, float32 at the voice's own rate; the first is short.

        A voice that cannot be cut gives one a sentence; a long first sentence comes in clauses.
        """
        config = self._config
        feeds = {}
        if len(config.speakers) > 1:
            feeds["sid"] = np.array([config.speakers[request.voice]], np.int64)
        feeds["scales"] = np.array(
            [config.noise_scale, config.length_scale / request.speed, config.noise_w], np.float32
        )
        streamed = isinstance(self._voice, Streamed)
        found = sentences(text, LONGEST) if streamed else portions(text, LONGEST, PACE)
        async for part in found:
            for piece in await self._host.call(self.pieces, part.text, request.lexicon):
                feeds["input"] = np.array([piece.ids], np.int64)
                feeds["input_lengths"] = np.array([len(piece.ids)], np.int64)
                async with aclosing(self._spoken(feeds, piece, part)) as chunks:
                    async for chunk in chunks:
                        yield chunk

    def pieces(self, text: str, lexicon: Sequence[Pronunciation] = ()) -> list[Piece]:
        """A sentence's phonemes, mostly in one piece; none where nothing can be spoken."""
        config = self._config
        found = own.units(text, config.language, lexicon, self._read, partial(symbols, config=config))
        if not any(phoneme.isalpha() for unit in found for phoneme in unit.phonemes):
            return []
        return to_ids(found, self._config.ids, PHONEMES.max or 4000)

    def _read(self, text: str) -> list[Unit]:
        if not any(c.isalnum() for c in text):
            return [Unit(text.strip())]  # punctuation behind a word of the lexicon; espeak drops it
        if self._normalizer:
            text = self._normalizer.spoken(text, self._config.language)
        return units(text, self._config)

    async def _spoken(
        self, feeds: Mapping[str, Array], piece: Piece, sentence: Sentence
    ) -> AsyncGenerator[AudioChunk, None]:
        """The chunks of a piece, each with the words that end in it."""
        rate = self._config.sample_rate
        pauses, pause = Pauses(rate), CLAUSE_PAUSE_SECONDS
        if sentence.ends:
            pause = pause_after(paragraph=sentence.paragraph)
        given = 0.0
        words: tuple[Word, ...] | None = None
        async with aclosing(self._windows(feeds)) as windows:
            async for outputs, last in windows:
                if self._timed and DURATIONS in outputs:
                    words = self._words(outputs[DURATIONS], piece, sentence)
                samples = pauses.process(np.clip(outputs["output"].reshape(-1), -1, 1))
                if last:
                    samples = np.concatenate([samples, pauses.finish(pause)])
                if not len(samples):
                    continue
                end = given + len(samples) / rate
                spoken, words = _spoken_by(words, math.inf if last else end - pauses.shift)
                yield AudioChunk(samples, rate, _placed(spoken, pauses.shift, given, end - pause * last))
                given = end

    async def _windows(
        self, feeds: Mapping[str, Array]
    ) -> AsyncGenerator[tuple[Mapping[str, Array], bool], None]:
        """The voice's outputs and whether they are the last: the sound in pieces, the rest with the first."""
        if not isinstance(self._voice, Streamed):
            yield await self._voice.run(**feeds), True
            return
        outputs = await self._voice.begin(**feeds)
        async with aclosing(self._voice.windows.run(outputs)) as pieces:
            async for samples, last in pieces:
                yield {**outputs, "output": samples}, last
                outputs = {}

    def _words(self, durations: Array, piece: Piece, sentence: Sentence) -> tuple[Word, ...]:
        """From the beginning of the network's output."""
        step = DURATION_STEP / self._config.sample_rate
        spoken = word_times(piece.words, piece.sizes, durations.reshape(-1).tolist(), step)
        return as_written(sentence.text, spoken)


def _spoken_by(
    words: tuple[Word, ...] | None, seconds: float
) -> tuple[tuple[Word, ...] | None, tuple[Word, ...] | None]:
    """The words that end until then, and the others."""
    if words is None:
        return None, None
    count = sum(word.end <= seconds for word in words)
    return words[:count], words[count:]


def _placed(
    words: tuple[Word, ...] | None, shift: float, start: float, end: float
) -> tuple[Word, ...] | None:
    """The words from the start of a chunk that lasts from `start` to `end`, seconds of the sentence."""
    if words is None:
        return None
    return tuple(Word(w.text, w.start - start, w.end - start) for w in shifted(words, shift, end))


def load(card: ModelCard, folder: Path, host: Host) -> Piper:
    """The voice in `folder`. Raises ModelFileError, MissingExtraError."""
    model = model_file(folder)
    if model is None:
        raise ModelFileError(
            f"{card.name}: the folder holds no NAME.onnx with NAME.onnx.json beside it",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    config = read_config(model)
    check_front_end(config)
    normalizer: Normalizer = host.part("normalizer")
    if not languages_match(config.language, normalizer.describe().languages):
        voice, timed = _voice(model, config, host)
        return Piper(card, config, voice, None, host, timed=timed)
    with ThreadPoolExecutor(1) as aside:  # the grammar takes a third of the time that the voice takes
        read = aside.submit(normalizer.spoken, "1", config.language)
        voice, timed = _voice(model, config, host)
        read.result()
    return Piper(card, config, voice, normalizer, host, timed=timed)


def _voice(model: Path, config: VoiceConfig, host: Host) -> tuple[Network | Streamed, bool]:
    """In parts where it can be cut; whether it gives durations."""
    declared = signature(
        symbols=config.symbols, speakers=len(config.speakers), rate=config.sample_rate, timed=True
    )
    first, most = (
        math.ceil(seconds * config.sample_rate / DURATION_STEP) for seconds in (FIRST_SECONDS, WINDOW_SECONDS)
    )
    tried = Model(model, declared, "output", (DURATIONS,), QUIET, PHONEMES.name, TRIED, first, most)
    cut = streaming.load(host, config.name, tried)
    if cut is not None:
        outputs = cut.front.signature.outputs if cut.front else ()
        return cut, any(tensor.name == DURATIONS for tensor in outputs)
    engine = host.engine(config.name, model, exposed=(DURATIONS,))
    timed = any(tensor.name == DURATIONS for tensor in engine.outputs)
    declared = signature(
        symbols=config.symbols, speakers=len(config.speakers), rate=config.sample_rate, timed=timed
    )
    return host.network(config.name, declared, engine), timed
