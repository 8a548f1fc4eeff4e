"""Mel spectrogram → windows of frames → network → sound; and a recording → its mel spectrogram."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.features import LogMel
from sonorant.errors import AudioError, ModelFileError, RequestError
from sonorant.families.hifigan import config as configs
from sonorant.families.hifigan.config import Config
from sonorant.families.hifigan.layout import find
from sonorant.families.hifigan.networks import LOUDEST, QUIETEST, signature, stage
from sonorant.networks.windows import Part
from sonorant.tasks import AudioChunk, Described, Task

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

FIRST, MOST = 32, 256
"""frames of the first window and of the longest: 0.4 s and 3 s; they grow threefold"""


class HiFiGan:
    """A `Vocoder`. What it holds of a stream is a window and its context, whatever the stream's length."""

    def __init__(self, card: ModelCard, host: Host, config: Config, network: Network) -> None:
        self._card, self._host, self._config = card, host, config
        self._part = Part(stage(config), network, MOST)

    def describe(self) -> Described:
        return Described(
            name=self._card.name,
            task=Task.VOCODING,
            languages=self._card.languages,
            sample_rate=self._config.sampling_rate,
            licence=self._card.licence,
        )

    async def analyse(self, audio: AsyncIterator[AudioChunk]) -> AsyncGenerator[NDArray[np.float32], None]:
        """audio: at the model's rate → float32 [bins, n], the mel spectrogram of which it was trained.

        Raises AudioError for less than half a window.
        """
        config = self._config
        features = LogMel(
            sample_rate=config.sampling_rate,
            n_fft=config.n_fft,
            hop=config.hop_size,
            window=config.win_size,
            bins=config.num_mels,
            low=config.fmin,
            high=config.fmax,
        )
        some = False
        async for chunk in audio:
            mel = await self._host.call(features.process, chunk.samples)
            some = some or mel.size > 0
            yield mel
        rest = await self._host.call(features.flush)
        if not some and not rest.size:
            raise AudioError(
                "The recording is too short for a mel spectrogram",
                why=f"It takes more than {(config.n_fft - config.hop_size) // 2} samples",
                remedy="Send a longer one",
                param="file",
            )
        yield rest

    async def vocode(self, mel: AsyncIterator[NDArray[np.float32]]) -> AsyncGenerator[AudioChunk, None]:
        """float32 [bins, n], pieces of a mel spectrogram of any length → its sound, hop · n samples.

        The samples are those of one run over everything: a window is computed once all that its sound
        depends on is there. Raises RequestError for what is no mel spectrogram of this model's.
        """
        before, after = self._part.stage.context
        held = np.zeros((self._config.num_mels, 0), np.float32)
        at, size = 0, FIRST  # the next window's first frame, in `held`
        async for piece in mel:
            self._check(piece)
            held = np.concatenate([held, piece], axis=1)
            while held.shape[1] - at >= size + after:
                yield await self._sound(held, at, at + size)
                at, size = at + size, min(3 * size, MOST)
                held, at = held[:, max(0, at - before) :], min(at, before)
        while at < held.shape[1]:
            left = held.shape[1] - at
            end = at + (left if left <= size + size // 2 else size)
            yield await self._sound(held, at, end)
            at, size = end, min(3 * size, MOST)

    async def _sound(self, mel: NDArray[np.float32], first: int, last: int) -> AudioChunk:
        audio = await self._part.run({"mel": mel[np.newaxis]}, first, last, mel.shape[1])
        return AudioChunk(audio[0, 0], self._config.sampling_rate)

    def _check(self, mel: NDArray[np.float32]) -> None:
        bins = self._config.num_mels
        if mel.ndim != 2 or mel.shape[0] != bins or mel.dtype != np.float32:
            raise RequestError(
                f"The mel spectrogram is {mel.dtype} {list(mel.shape)}",
                why=f"{self._card.name} takes float32 [{bins}, frames]",
                remedy="Transpose it, or make it by the recipe in docs/models.md",
                param="mel",
            )
        if mel.size and not (mel.min() >= QUIETEST and mel.max() <= LOUDEST):  # also what is no number
            raise RequestError(
                f"The mel spectrogram holds values from {mel.min():g} to {mel.max():g}",
                why=f"Natural logarithms of mel energies lie between {QUIETEST:g} and {LOUDEST:g}",
                remedy="Make it by the recipe in docs/models.md: not in decibels, and not normalised",
                param="mel",
            )


def load(card: ModelCard, folder: Path, host: Host) -> HiFiGan:
    """Raises ModelFileError, and MissingExtraError where it takes torch and there is none."""
    found = find(folder)
    if found is None:
        raise ModelFileError(
            f"{card.name}: the folder lacks its weights",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    described = found[0].read_text(encoding="utf-8")
    config = configs.parse(described)
    expected = signature(config)
    engine = host.torch("hifigan", found[1], partial(generator, described), expected)
    return HiFiGan(card, host, config, host.network("hifigan", expected, engine))


def generator(config: str) -> Any:
    """The network that the text of a config.json describes, in torch."""
    from sonorant.families.hifigan.generator import Generator  # needs torch, which the engine has looked for

    return Generator(configs.parse(config))
