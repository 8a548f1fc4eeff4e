"""Text → phonemes → spectrum → waveform, a sentence at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sonorant.audio.joins import pause_after, with_pauses
from sonorant.families.hibari import dsp, layout
from sonorant.families.hibari.networks import DURATION_STEP, DURATIONS, PHONEMES, signature
from sonorant.tasks import AudioChunk, Described, Pronunciation, SpeechRequest, Voice
from sonorant.text import english
from sonorant.text.phonemes import Piece, pieces
from sonorant.text.segment import Sentence, sentences
from sonorant.text.timing import as_written, shifted, word_times

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

LONGEST = 300
"""characters of a sentence; upstream's network was trained on at most 400 phonemes"""


class Hibari:
    """A `Synthesizer` with one network a voice."""

    def __init__(
        self,
        card: ModelCard,
        voices: tuple[Voice, ...],
        networks: Mapping[str, Network],
        vocabulary: Mapping[str, int],
        host: Host,
    ) -> None:
        self._card, self._voices, self._networks = card, {v.name: v for v in voices}, networks
        self._vocabulary, self._host = vocabulary, host
        outputs = [{tensor.name for tensor in n.signature.outputs} for n in networks.values()]
        self._timed = all(DURATIONS in found for found in outputs)

    def describe(self) -> Described:
        return replace(
            self._card.described(),
            voices=tuple(self._voices.values()),
            sample_rate=dsp.SAMPLE_RATE,
            word_times=self._timed,
        )

    async def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]:
        """One chunk a sentence, float32 at 24 kHz. The voice's noise follows `request.seed`."""
        voice = self._voices[request.voice]
        network = self._networks[voice.name]
        random = np.random.default_rng(request.seed)
        speed = np.array([request.speed], np.float32)
        async for sentence in sentences(text, LONGEST):
            for piece in await self._host.call(self.pieces, sentence.text, voice, request.lexicon):
                ids = np.array([[0, *piece.ids, 0]], np.int64)
                outputs = await network.run(ids=ids, speed=speed)
                spectra = {name: outputs[name][0] for name in dsp.OUTPUTS}
                halves = await asyncio.gather(  # as long as one each: on two cores in half the time
                    self._host.call(dsp.voiced, spectra), self._host.call(dsp.unvoiced, spectra, random)
                )
                yield await self._host.call(_chunk, halves, outputs, piece, sentence)

    def pieces(self, text: str, voice: Voice, lexicon: Sequence[Pronunciation] = ()) -> list[Piece]:
        """A sentence's phonemes, mostly in one piece; none where nothing can be spoken."""
        units = english.units(text, british=voice.language == "en-GB", lexicon=lexicon)
        return pieces(units, self._vocabulary, (PHONEMES.max or 512) - 2)


def _chunk(
    halves: tuple[dsp.Complex, dsp.Complex],
    outputs: Mapping[str, dsp.Float],
    piece: Piece,
    sentence: Sentence,
) -> AudioChunk:
    """The two halves of a piece's spectrum → its audio, with the pause that follows it."""
    samples = dsp.waveform(*halves)
    pause = pause_after(paragraph=sentence.paragraph)
    samples, shift = with_pauses(samples, dsp.SAMPLE_RATE, tail=pause)
    words = None
    if DURATIONS in outputs:
        spoken = word_times(piece.words, piece.sizes, outputs[DURATIONS].tolist(), DURATION_STEP)
        words = shifted(as_written(sentence.text, spoken), shift, len(samples) / dsp.SAMPLE_RATE - pause)
    return AudioChunk(samples, dsp.SAMPLE_RATE, words)


def load(card: ModelCard, folder: Path, host: Host) -> Hibari:
    """Every voice whose weights are in `folder`. Raises ModelFileError."""
    vocabulary = layout.read_vocabulary(folder / layout.VOCABULARY)
    voices = layout.present(folder)
    networks = {}
    for voice in voices:
        engine = host.engine(voice.name, folder / layout.FILES[voice.name], exposed=(DURATIONS,))
        timed = any(tensor.name == DURATIONS for tensor in engine.outputs)
        networks[voice.name] = host.network(voice.name, signature(timed=timed), engine)
    return Hibari(card, voices, networks, vocabulary, host)
