"""Which files a Moonshine folder holds, in each of the layouts that publishers use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sonorant.catalogue import ModelCard
from sonorant.families.local import local_card
from sonorant.tasks import Task


@dataclass(frozen=True)
class Files:
    """The three files of a Moonshine model."""

    encoder: Path
    decoder: Path
    tokenizer: Path


_LAYOUTS = (
    ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"),  # moonshine-voice, moonshine-cpp
    ("onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx", "tokenizer.json"),  # onnx-community
    ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json"),  # UsefulSensors/moonshine
)


def find(folder: Path) -> Files | None:
    """The files in whichever layout the folder has; None where it has none."""
    for names in _LAYOUTS:
        encoder, decoder, tokenizer = (folder / name for name in names)
        if encoder.is_file() and decoder.is_file() and tokenizer.is_file():
            return Files(encoder, decoder, tokenizer)
    return None


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder with an encoder, a merged decoder and a tokenizer."""
    if find(folder) is None:
        return None
    return local_card(
        folder,
        family="moonshine",
        task=Task.TRANSCRIPTION,
        languages=("en",),
        sample_rate=16_000,
        parts={"vad": "silero-vad", "normalizer": "wetext"},
    )
