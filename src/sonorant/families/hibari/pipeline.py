"""Text → phonemes → spectrum → waveform, a sentence at a time."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.joins import pause_after, with_pauses
from sonorant.errors import ModelFileError
from sonorant.families.hibari import dsp, layout
from sonorant.families.hibari.networks import IDS, PHONEMES, SIGNATURE
from sonorant.tasks import AudioChunk, Described, SpeechRequest, Task, Voice
from sonorant.text.segment import Sentence, sentences

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
        self._phonemizers: dict[bool, Any] = {}

    def describe(self) -> Described:
        return Described(
            name=self._card.name,
            task=Task.SPEECH,
            languages=self._card.languages,
            voices=tuple(self._voices.values()),
            sample_rate=dsp.SAMPLE_RATE,
            licence=self._card.licence,
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
            for ids in await self._host.call(self.ids, sentence.text, voice):
                outputs = await network.run(ids=ids, speed=speed)
                yield await self._host.call(waveform, outputs, sentence, random)

    def ids(self, text: str, voice: Voice) -> list[NDArray[np.int64]]:
        """Phoneme ids [1, phonemes], in as many pieces as the network needs; none for unspeakable text."""
        phonemes = self._phonemizer(british=voice.language == "en-GB")(text)
        if not any(symbol.isalpha() for symbol in phonemes):
            return []
        ids = [self._vocabulary[symbol] for symbol in phonemes if symbol in self._vocabulary]
        room = (PHONEMES.max or 512) - 2
        return [np.array([[0, *ids[i : i + room], 0]], np.int64) for i in range(0, len(ids), room)]

    def _phonemizer(self, *, british: bool) -> Any:
        if british not in self._phonemizers:
            from hibari.g2p import G2P

            self._phonemizers[british] = G2P(british=british)
        return self._phonemizers[british]


def waveform(
    outputs: Mapping[str, NDArray[np.float32]], sentence: Sentence, random: np.random.Generator
) -> AudioChunk:
    """The network's outputs for one sentence → its audio, with the pause that follows it."""
    samples = dsp.synthesize({name: value[0] for name, value in outputs.items()}, random)
    pause = pause_after(paragraph=sentence.paragraph)
    return AudioChunk(with_pauses(samples, dsp.SAMPLE_RATE, tail=pause), dsp.SAMPLE_RATE)


def load(card: ModelCard, folder: Path, host: Host) -> Hibari:
    """Every voice whose weights are in `folder`. Raises ModelFileError."""
    try:
        vocabulary = json.loads((folder / layout.VOCABULARY).read_text(encoding="utf-8"))
        if not all(isinstance(i, int) and 0 <= i <= IDS for i in vocabulary.values()):
            raise ValueError(f"it holds ids outside 0–{IDS}")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"{card.name}: {layout.VOCABULARY} cannot be used",
            why=str(error),
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        ) from error
    voices = layout.present(folder)
    networks = {
        voice.name: host.network(voice.name, SIGNATURE, host.engine(folder / layout.FILES[voice.name]))
        for voice in voices
    }
    return Hibari(card, voices, networks, vocabulary, host)
