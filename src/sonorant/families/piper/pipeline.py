"""Text → normalised text → phonemes → waveform, a sentence at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.joins import pause_after, with_pauses
from sonorant.errors import ModelFileError
from sonorant.families.piper.layout import VoiceConfig, model_file, read_config, voices
from sonorant.families.piper.networks import DURATION_STEP, DURATIONS, PHONEMES, signature
from sonorant.families.piper.phonemes import check_front_end, symbols, to_ids, units
from sonorant.tasks import (
    AudioChunk,
    Described,
    Normalizer,
    Pronunciation,
    SpeechRequest,
    Task,
    languages_match,
)
from sonorant.text import lexicon as own
from sonorant.text.phonemes import Piece, Unit
from sonorant.text.segment import Sentence, sentences
from sonorant.text.timing import as_written, shifted, word_times

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

LONGEST = 400
"""characters of a sentence"""


class Piper:
    """A `Synthesizer`. Noise is drawn inside the network, so a seed changes nothing."""

    def __init__(
        self, card: ModelCard, config: VoiceConfig, network: Network, normalizer: Normalizer, host: Host
    ) -> None:
        self._card, self._config, self._network, self._host = card, config, network, host
        known = languages_match(config.language, normalizer.describe().languages)
        self._normalizer = normalizer if known else None
        self._timed = any(tensor.name == DURATIONS for tensor in network.signature.outputs)

    def describe(self) -> Described:
        return Described(
            name=self._card.name,
            task=Task.SPEECH,
            languages=(self._config.language,),
            voices=voices(self._config),
            sample_rate=self._config.sample_rate,
            licence=self._card.licence,
            word_times=self._timed,
            varied=self._config.noise_w > 0,
        )

    async def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]:
        """One chunk a sentence, float32 at the voice's own rate."""
        config = self._config
        speaker = {}
        if len(config.speakers) > 1:
            speaker["sid"] = np.array([config.speakers[request.voice]], np.int64)
        scales = np.array(
            [config.noise_scale, config.length_scale / request.speed, config.noise_w], np.float32
        )
        async for sentence in sentences(text, LONGEST):
            for piece in await self._host.call(self.pieces, sentence.text, request.lexicon):
                ids = np.array([piece.ids], np.int64)
                lengths = np.array([ids.shape[1]], np.int64)
                outputs = await self._network.run(input=ids, input_lengths=lengths, scales=scales, **speaker)
                yield self._chunk(outputs, piece, sentence)

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

    def _chunk(
        self, outputs: Mapping[str, NDArray[np.float32]], piece: Piece, sentence: Sentence
    ) -> AudioChunk:
        audio, rate = np.clip(outputs["output"].reshape(-1), -1, 1), self._config.sample_rate
        pause = pause_after(paragraph=sentence.paragraph)
        samples, shift = with_pauses(audio, rate, tail=pause)
        words = None
        if self._timed:
            durations = outputs[DURATIONS].reshape(-1).tolist()
            spoken = word_times(piece.words, piece.sizes, durations, DURATION_STEP / rate)
            words = shifted(as_written(sentence.text, spoken), shift, len(samples) / rate - pause)
        return AudioChunk(samples, rate, words)


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
    engine = host.engine(model, exposed=(DURATIONS,))
    timed = any(tensor.name == DURATIONS for tensor in engine.outputs)
    declared = signature(symbols=config.symbols, speakers=len(config.speakers), timed=timed)
    network = host.network(config.name, declared, engine)
    return Piper(card, config, network, host.part("normalizer"), host)
