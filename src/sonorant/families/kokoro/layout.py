"""Which files a Kokoro folder holds, in each of the layouts that publishers use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sonorant.catalogue import ModelCard
from sonorant.errors import LayoutError, ModelFileError
from sonorant.families.layouts import Layout
from sonorant.families.local import local_card
from sonorant.tasks import Task, Voice

SAMPLE_RATE = 24_000

_MODELS = (
    "kokoro-v1.0.int8.onnx",  # kokoro-onnx
    "kokoro-v1.0.onnx",
    "onnx/model_quantized.onnx",  # onnx-community/Kokoro-82M-v1.0-ONNX
    "onnx/model.onnx",
    "model.onnx",
)
_VOCABULARIES = ("vocab.json", "tokenizer.json", "config.json")
_FILES = (_MODELS, _VOCABULARIES, ("voices/*.bin",))

LANGUAGES = {
    "a": "en-US",
    "b": "en-GB",
    "e": "es",
    "f": "fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-BR",
    "z": "zh",
}
"""first letter of a voice's name → language"""
GENDERS = {"f": "female", "m": "male"}
"""second letter → gender"""

DEFAULT_VOICE = "af_heart"


@dataclass(frozen=True)
class Files:
    """A Kokoro model."""

    model: Path
    vocabulary: Path
    voices: dict[str, Path]
    """name → float32 (rows, 1, 256)"""


def find(folder: Path) -> Files | None:
    """The files in whichever layout the folder has; None where it has none."""
    model = next((folder / name for name in _MODELS if (folder / name).is_file()), None)
    vocabulary = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    voices = {path.stem: path for path in sorted((folder / "voices").glob("*.bin")) if _is_name(path.stem)}
    if model is None or vocabulary is None or not voices:
        return None
    return Files(model, vocabulary, voices)


def _accepted(folder: Path) -> None:
    if find(folder) is None:
        raise LayoutError(
            "Of the files in voices/ none is a voice of Kokoro",
            why="Voices are named after their language, their gender and a name: af_heart.bin",
            remedy="Give them the names back that their publisher gave them",
        )


LAYOUTS = (
    Layout(
        "onnx-community/Kokoro-82M-v1.0-ONNX",
        _FILES,
        ("*kokoro*", "voices/[a-z][fm]_*", "[a-z][fm]_*.bin"),
        _accepted,
    ),
)


def voices(files: Files) -> tuple[Voice, ...]:
    """The voices that are there, the default first."""
    names = sorted(files.voices, key=lambda name: (name != DEFAULT_VOICE, name))
    return tuple(Voice(name, LANGUAGES[name[0]], GENDERS[name[1]]) for name in names)


def read_vocabulary(path: Path) -> dict[str, int]:
    """Phoneme → id, from any of the three kinds of file. Raises ModelFileError."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        table = tree["model"]["vocab"] if "model" in tree else tree.get("vocab", tree)
        return {str(symbol): int(index) for symbol, index in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path.name} is not Kokoro's vocabulary", why=str(error), remedy="Fetch the model again"
        ) from error


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder with a model, a vocabulary and voices/*.bin."""
    files = find(folder)
    if files is None:
        return None
    known = voices(files)
    return local_card(
        folder,
        family="kokoro",
        task=Task.SPEECH,
        languages=tuple(dict.fromkeys(voice.language.split("-")[0] for voice in known)),
        voices=known,
        sample_rate=SAMPLE_RATE,
        parts={"normalizer": "wetext"},
    )


def _is_name(name: str) -> bool:
    return len(name) > 3 and name[0] in LANGUAGES and name[1] in GENDERS and name[2] == "_"
