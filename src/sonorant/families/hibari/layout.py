"""How a hibari folder is recognised: an .onnx file a voice under upstream's name, and vocab.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from hibari.voices import VOICES as UPSTREAM

from sonorant.catalogue import ModelCard
from sonorant.errors import ModelFileError
from sonorant.families.hibari.networks import IDS, signature
from sonorant.families.layouts import Layout, NetworkFile, SettingsFile
from sonorant.families.local import local_card
from sonorant.tasks import Task, Voice

VOCABULARY = "vocab.json"

FILES: dict[str, str] = {name: voice["file"] for name, voice in UPSTREAM.items()}
"""voice → file name"""

LAYOUTS = (Layout("the package hibari-tts", (tuple(FILES.values()), (VOCABULARY,)), tuple(FILES.values())),)


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


def read_vocabulary(path: Path) -> dict[str, int]:
    """Phoneme → id. Raises ModelFileError."""
    try:
        vocabulary: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(i, int) and 0 <= i <= IDS for i in vocabulary.values()):
            raise ValueError(f"it holds ids outside 0–{IDS}")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"{path.name} cannot be used",
            why=str(error),
            remedy="Pull the model again: `sonorant pull hibari --force`",
        ) from error
    return vocabulary


def expected(folder: Path) -> Iterator[SettingsFile | NetworkFile]:
    """The vocabulary, and a network a voice."""
    yield SettingsFile(folder / VOCABULARY, read_vocabulary)
    for voice in present(folder):
        yield NetworkFile(folder / FILES[voice.name], lambda inputs, outputs: signature())
