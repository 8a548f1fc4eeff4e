"""DNSMOS: how good speech sounds, as listeners would rate it from 1 to 5 (Microsoft, MIT).

Reddy et al., "DNSMOS P.835" (ICASSP 2022). Of its three ratings (signal, background, overall) the overall
one is the score. It was trained on noisy calls: it hears noise, band limits and dropouts better than the
small flaws of a synthetic voice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.pieces import gathered
from sonorant.errors import AudioError, ModelFileError
from sonorant.families.local import local_card
from sonorant.networks import BATCH, Signature, Tensor
from sonorant.tasks import AudioChunk, Described, Task

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

FILE = "sig_bak_ovr.onnx"
SAMPLE_RATE, WINDOW = 16_000, 144_160
"""hertz; samples of a window, 9.01 s"""
LONGEST = 60.0
"""seconds that are heard"""
OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""the polynomial that brings the overall output to the scale of listeners (speechmos, dnsmos.py)"""

SIGNATURE = Signature(
    inputs=(Tensor("input_1", "float32", (BATCH, WINDOW), low=-1, high=1, about="9.01 s at 16 kHz"),),
    outputs=(Tensor("Identity:0", "float32", (BATCH, 3)),),
)


class DNSMOS:
    """A `Scorer`. It hears the first minute, in windows of 9.01 s that begin a second apart."""

    def __init__(self, card: ModelCard, network: Network) -> None:
        self._card, self._network = card, network

    def describe(self) -> Described:
        return replace(self._card.described(), sample_rate=SAMPLE_RATE)

    async def score(self, audio: AsyncIterator[AudioChunk]) -> float:
        """audio: 16 kHz → 1 to 5. What is shorter than a window is repeated, as upstream does."""
        samples = await gathered(audio, round(LONGEST * SAMPLE_RATE))
        if not len(samples):
            raise AudioError("The audio is empty", remedy="Send speech", param="file")
        while len(samples) < WINDOW:
            samples = np.concatenate([samples, samples])
        count = int(len(samples) // SAMPLE_RATE - WINDOW / SAMPLE_RATE) + 1
        scores = [await self._rate(samples[n * SAMPLE_RATE :][:WINDOW]) for n in range(count)]
        return float(np.mean(scores))

    async def _rate(self, window: NDArray[np.float32]) -> float:
        output = self._network.signature.outputs[0].name
        ratings = (await self._network.run(input_1=window[np.newaxis]))[output]
        return float(np.polyval(OVERALL, ratings[0, 2]))


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder that holds upstream's file."""
    if not (folder / FILE).is_file():
        return None
    return local_card(folder, family="dnsmos", task=Task.SCORING, languages=("*",), sample_rate=SAMPLE_RATE)


def load(card: ModelCard, folder: Path, host: Host) -> DNSMOS:
    """Raises ModelFileError."""
    if not (folder / FILE).is_file():
        raise ModelFileError(
            f"{card.name}: the folder lacks its weights",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    return DNSMOS(card, host.network("dnsmos", SIGNATURE, host.engine("dnsmos", folder / FILE)))
