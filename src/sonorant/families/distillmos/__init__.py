"""DistillMOS: how good speech sounds, as listeners would rate it from 1 to 5 (Microsoft, MIT).

Distilled from a large self-supervised model that was trained on coded, noisy and synthetic speech. The
checkpoint needs torch: the extra sonorant[torch].
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sonorant.audio.pieces import gathered
from sonorant.errors import AudioError, ModelFileError
from sonorant.families.local import local_card
from sonorant.networks import BATCH, Signature, Tensor
from sonorant.tasks import AudioChunk, Described, Task

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

FILE = "distill_mos_v7.pt"
SAMPLE_RATE, WINDOW = 16_000, 122_880
"""hertz; samples of a window, 7.68 s"""
LONGEST = 60.0
"""seconds that are heard"""

SIGNATURE = Signature(
    inputs=(Tensor("samples", "float32", (BATCH, WINDOW), low=-1, high=1, about="7.68 s, peak 1"),),
    outputs=(Tensor("mos", "float32", (BATCH,)),),
)


class DistillMOS:
    """A `Scorer`. It hears the first minute, in windows of 7.68 s that begin at most a second apart."""

    def __init__(self, card: ModelCard, network: Network) -> None:
        self._card, self._network = card, network

    def describe(self) -> Described:
        return replace(self._card.described(), sample_rate=SAMPLE_RATE)

    async def score(self, audio: AsyncIterator[AudioChunk]) -> float:
        """audio: 16 kHz → 1 to 5. What is shorter than a window is followed by silence, as upstream does."""
        samples = await gathered(audio, round(LONGEST * SAMPLE_RATE))
        if not len(samples):
            raise AudioError("The audio is empty", remedy="Send speech", param="file")
        samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
        over = len(samples) - WINDOW
        starts = (np.linspace(0, 1, -(-over // SAMPLE_RATE) + 1) * over).astype(int)
        scores = []
        for start in starts:
            window = samples[start : start + WINDOW]
            peak = window / (np.abs(window).max() + np.float32(1e-8))
            scores.append((await self._network.run(samples=peak[np.newaxis]))["mos"][0])
        return float(np.mean(scores))


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder that holds upstream's checkpoint."""
    if not (folder / FILE).is_file():
        return None
    return local_card(
        folder, family="distillmos", task=Task.SCORING, languages=("*",), sample_rate=SAMPLE_RATE
    )


def load(card: ModelCard, folder: Path, host: Host) -> DistillMOS:
    """Raises ModelFileError, and MissingExtraError where there is no torch."""
    if not (folder / FILE).is_file():
        raise ModelFileError(
            f"{card.name}: the folder lacks its weights",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    engine = host.torch("distillmos", folder / FILE, _module, SIGNATURE)
    return DistillMOS(card, host.network("distillmos", SIGNATURE, engine))


def _module() -> Any:
    from sonorant.families.distillmos.predictor import Predictor  # needs torch, which the engine looked for

    return Predictor()
