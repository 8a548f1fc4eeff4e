"""Audio → filter bank → network → a vector of length 1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.features import fbank
from sonorant.audio.pieces import gathered
from sonorant.errors import AudioError, ModelFileError
from sonorant.families.campplus.layout import SAMPLE_RATE, find
from sonorant.families.campplus.networks import BINS, LONGEST, SHORTEST, SIZE, signature
from sonorant.tasks import AudioChunk, Described

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network


class CAMPlusPlus:
    """An `Embedder`. It hears the first 30 s and asks for no more, so its memory is bounded."""

    def __init__(self, card: ModelCard, host: Host, network: Network) -> None:
        self._card, self._host, self._network = card, host, network
        self._input, self._output = network.signature.inputs[0].name, network.signature.outputs[0].name

    def describe(self) -> Described:
        return replace(self._card.described(), sample_rate=SAMPLE_RATE)

    async def embed(self, audio: AsyncIterator[AudioChunk]) -> NDArray[np.float32]:
        """audio: 16 kHz → float32 [192], of length 1.

        Raises AudioError for less than 0.5 s, and for digital silence, which has no voice.
        """
        samples = await _beginning(audio)
        feats = await self._host.call(_features, samples)
        outputs = await self._network.run(**{self._input: feats[np.newaxis]})
        vector = outputs[self._output][0]
        embedding: NDArray[np.float32] = vector / np.linalg.norm(vector)
        return embedding


async def _beginning(audio: AsyncIterator[AudioChunk]) -> NDArray[np.float32]:
    """float32 [n]: at most the longest audio that makes an embedding."""
    samples = await gathered(audio, round(LONGEST * SAMPLE_RATE))
    if len(samples) < SHORTEST * SAMPLE_RATE:
        raise AudioError(
            f"{len(samples) / SAMPLE_RATE:.2f} s of audio are too short to tell a voice",
            why=f"It takes {SHORTEST:g} s at the least, and 3 s to be told reliably",
            remedy="Send more of the same speaker",
            param="file",
        )
    if not samples.any():
        raise AudioError("The audio is silent", remedy="Send speech", param="file")
    return samples


def _features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [frames, 80], each bin less its mean; the scale of [-1, 1] is the one it was trained in."""
    energies = fbank(samples, SAMPLE_RATE, bins=BINS)
    centred: NDArray[np.float32] = energies - energies.mean(axis=0)
    return centred


def load(card: ModelCard, folder: Path, host: Host) -> CAMPlusPlus:
    """Raises ModelFileError, and MissingExtraError where a checkpoint needs torch and there is none."""
    file = find(folder)
    if file is None:
        raise ModelFileError(
            f"{card.name}: the folder lacks its weights",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    if file.suffix == ".onnx":
        engine = host.engine("campplus", file)
        expected = signature(engine.inputs[0].name, engine.outputs[0].name)
        return CAMPlusPlus(card, host, host.network("campplus", expected, engine))
    expected = signature()
    engine = host.torch("campplus", file, _module, expected)
    return CAMPlusPlus(card, host, host.network("campplus", expected, engine))


def _module() -> Any:
    from sonorant.families.campplus.dtdnn import CAMPPlus  # needs torch, which the engine has looked for

    return CAMPPlus(BINS, SIZE)
