"""Text → normalised text → phonemes → waveform, a sentence at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.joins import pause_after, with_pauses
from sonorant.errors import ModelFileError
from sonorant.families.piper.layout import VoiceConfig, model_file, read_config, voices
from sonorant.families.piper.networks import PHONEMES, signature
from sonorant.families.piper.phonemes import check_front_end, phonemize, to_ids
from sonorant.tasks import AudioChunk, Described, Normalizer, SpeechRequest, Task, languages_match
from sonorant.text.segment import sentences

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

    def describe(self) -> Described:
        return Described(
            name=self._card.name,
            task=Task.SPEECH,
            languages=(self._config.language,),
            voices=voices(self._config),
            sample_rate=self._config.sample_rate,
            licence=self._card.licence,
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
            for ids in await self._host.call(self.ids, sentence.text):
                lengths = np.array([ids.shape[1]], np.int64)
                outputs = await self._network.run(input=ids, input_lengths=lengths, scales=scales, **speaker)
                pause = pause_after(paragraph=sentence.paragraph)
                samples, _ = with_pauses(
                    np.clip(outputs["output"].reshape(-1), -1, 1), config.sample_rate, tail=pause
                )
                yield AudioChunk(samples, config.sample_rate)

    def ids(self, text: str) -> list[NDArray[np.int64]]:
        """Phoneme ids [1, phonemes] of a sentence, mostly in one piece; none where nothing can be spoken."""
        if self._normalizer:
            text = self._normalizer.spoken(text, self._config.language)
        phonemes = phonemize(text, self._config)
        if not any(phoneme.isalpha() for phoneme in phonemes):
            return []
        pieces = to_ids(phonemes, self._config.ids, PHONEMES.max or 4000)
        return [np.array([piece], np.int64) for piece in pieces]


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
    network = host.network(
        config.name, signature(symbols=config.symbols, speakers=len(config.speakers)), host.engine(model)
    )
    return Piper(card, config, network, host.part("normalizer"), host)
