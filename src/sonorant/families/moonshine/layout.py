"""Which files a Moonshine folder holds, in each of the layouts that publishers use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonorant.catalogue import ModelCard
from sonorant.errors import ModelFileError
from sonorant.families.layouts import Layout, NetworkFile, SettingsFile
from sonorant.families.local import local_card
from sonorant.families.moonshine.networks import encoder_signature
from sonorant.families.moonshine.tokenizer import Tokenizer
from sonorant.networks import Signature, Tensor
from sonorant.tasks import Task


@dataclass(frozen=True)
class Files:
    """The three files of a Moonshine model."""

    encoder: Path
    decoder: Path
    tokenizer: Path


_LAYOUTS = {
    "moonshine-voice": ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"),
    "onnx-community/moonshine-tiny-ONNX": (
        "onnx/encoder_model.onnx",
        "onnx/decoder_model_merged.onnx",
        "tokenizer.json",
    ),
    "UsefulSensors/moonshine": ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json"),
}
"""who publishes → encoder, decoder, tokenizer"""
LAYOUTS = tuple(
    Layout(origin, tuple((name,) for name in names), (names[1], "*moonshine*"))
    for origin, names in _LAYOUTS.items()
)


def find(folder: Path) -> Files | None:
    """The files in whichever layout the folder has; None where it has none."""
    for names in _LAYOUTS.values():
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


def expected(folder: Path) -> Iterator[SettingsFile | NetworkFile]:
    """The tokenizer and the encoder; the decoder is compared with what we make of it when it is loaded."""
    if files := find(folder):
        yield SettingsFile(files.tokenizer, Tokenizer)
        yield NetworkFile(files.encoder, _encoder)


def _encoder(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Signature:
    hidden = outputs[0].dims[-1] if outputs and outputs[0].dims else None
    if not isinstance(hidden, int):
        raise ModelFileError(
            "The model is not Moonshine's encoder",
            why=f"It takes {', '.join(map(str, inputs))} and gives {', '.join(map(str, outputs))}",
            remedy="Use an export of Moonshine as its publisher lays it out",
        )
    return encoder_signature(hidden=hidden, masked=any(t.name == "attention_mask" for t in inputs))
