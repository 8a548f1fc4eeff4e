"""Silero VAD: speech probability of every 32 ms at 16 kHz (snakers4/silero-vad, MIT).

The network is upstream's "sequence" export: as many frames as there are in one run, LSTM state in
and out. Its probabilities equal those of the frame-by-frame export (difference 0 on 44 s of speech).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sonorant.audio.endpointing import Endpointer, Endpointing
from sonorant.families.layouts import Layout, NetworkFile
from sonorant.families.local import local_card
from sonorant.networks import Axis, Signature, Tensor
from sonorant.tasks import AudioChunk, Described, SpeechSpan, Task

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network

FILE = "silero_vad_16k_sequence.onnx"
SAMPLE_RATE, FRAME, CONTEXT = 16_000, 512, 64
LAYOUTS = (Layout("the package silero-vad", ((FILE,),), ("*silero*",)),)
FRAMES = Axis("frames", unit="32 ms", typical=32, max=4096)

SIGNATURE = Signature(
    inputs=(
        Tensor(
            "input",
            "float32",
            (FRAMES, CONTEXT + FRAME),
            low=-1,
            high=1,
            about="64 samples before, 512 of the frame",
        ),
        Tensor("h", "float32", (1, 1, 128)),
        Tensor("c", "float32", (1, 1, 128)),
    ),
    outputs=(
        Tensor(
            "speech_probs", "float32", (Axis("frames", unit="32 ms", length=lambda sizes: sizes["frames"]),)
        ),
        Tensor("hn", "float32", (1, 1, 128)),
        Tensor("cn", "float32", (1, 1, 128)),
    ),
    state={"h": "hn", "c": "cn"},
)


class Silero:
    """A `Detector`."""

    def __init__(self, card: ModelCard, network: Network) -> None:
        self._card, self._network = card, network

    def describe(self) -> Described:
        return replace(self._card.described(), sample_rate=SAMPLE_RATE)

    async def detect(
        self, audio: AsyncIterator[AudioChunk], endpointing: Endpointing | None = None
    ) -> AsyncGenerator[SpeechSpan, None]:
        """audio: 16 kHz chunks of any length → spans in order, each when it has ended."""
        endpointer = Endpointer(FRAME, SAMPLE_RATE, endpointing)
        rest = np.zeros(CONTEXT, np.float32)  # the context, then what is not yet a whole frame
        heard = 0
        async with self._network.open() as state:

            async def push(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[SpeechSpan]:
                windows = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + FRAME)[::FRAME]
                outputs = await state.step(input=np.ascontiguousarray(windows))
                return endpointer.push(outputs["speech_probs"], samples[CONTEXT:])

            async for chunk in audio:
                heard += len(chunk.samples)
                rest = np.concatenate([rest, chunk.samples])
                while len(rest) >= CONTEXT + FRAME:
                    frames = min((len(rest) - CONTEXT) // FRAME, FRAMES.max or 1)
                    for span in await push(rest[: CONTEXT + frames * FRAME]):
                        yield span
                    rest = rest[frames * FRAME :]
            if len(rest) > CONTEXT:
                for span in await push(np.pad(rest, (0, CONTEXT + FRAME - len(rest)))):
                    yield span
        for span in endpointer.finish(heard):
            yield span


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder that holds upstream's sequence export."""
    if not (folder / FILE).is_file():
        return None
    return local_card(folder, family="silero", task=Task.VAD, languages=("*",), sample_rate=SAMPLE_RATE)


def expected(folder: Path) -> Iterator[NetworkFile]:
    """Its network."""
    yield NetworkFile(folder / FILE, lambda inputs, outputs: SIGNATURE)


def load(card: ModelCard, folder: Path, host: Host) -> Silero:
    """Raises ModelFileError."""
    # a recurrence over 32 ms frames has nothing to share between threads
    engine = host.engine("silero", folder / FILE, intra_op_num_threads=1)
    return Silero(card, host.network("silero", SIGNATURE, engine))
