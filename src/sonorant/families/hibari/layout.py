"""How a hibari folder is recognised: an .onnx file a voice under upstream's name, and vocab.json."""

from __future__ import annotations

from pathlib import Path

from hibari.voices import VOICES as UPSTREAM

from sonorant.catalogue import ModelCard
from sonorant.families.local import local_card
from sonorant.tasks import Task, Voice

VOCABULARY = "vocab.json"

FILES: dict[str, str] = {name: voice["file"] for name, voice in UPSTREAM.items()}
"""voice → file name"""


def present(folder: Path) -> tuple[Voice, ...]:
    """The voices whose weights are in the folder."""
    return tuple(
        Voice(name, voice["language"], voice["gender"])
        for name, voice in UPSTREAM.items()
        if (folder / FILES[name]).is_file()
    )


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder with vocab.json and at least one voice's weights."""
    voices = present(folder)
    if not voices or not (folder / VOCABULARY).is_file():
        return None
    return local_card(
        folder, family="hibari", task=Task.SPEECH, languages=("en",), voices=voices, sample_rate=24_000
    )
