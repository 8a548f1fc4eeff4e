"""Which files a Whisper folder in CTranslate2's form holds, and which languages its model knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from sonorant.catalogue import ModelCard
from sonorant.errors import ModelFileError
from sonorant.families.layouts import Layout, SettingsFile, WeightsFile
from sonorant.families.local import local_card
from sonorant.tasks import Task

SAMPLE_RATE = 16_000

_FILES = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_END, _BEGIN = "<|endoftext|>", "<|startoftranscript|>"
_ENGLISH_END = 50256
"""where text ends in the vocabulary of GPT-2, which the English models have; the others' is one longer"""


def missing(folder: Path) -> list[str]:
    """The files that a folder of Whisper lacks."""
    absent = [name for name in _FILES if not (folder / name).is_file()]
    return absent + ([] if any((folder / v).is_file() for v in _VOCABULARIES) else [_VOCABULARIES[0]])


def languages(folder: Path) -> tuple[str, ...]:
    """Whisper's own codes, as tokenizer.json has them; English alone for the models named `.en`.

    Their tokenizers list every language too, but the network was never shown those tokens.
    Raises ModelFileError for a tokenizer that is not Whisper's.
    """
    try:
        tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        tokens = {str(token["content"]): int(token["id"]) for token in tree["added_tokens"]}
        found = tuple(match[1] for token in tokens if (match := _LANGUAGE.fullmatch(token)))
        if _BEGIN not in tokens or not found:
            raise ValueError(f"It has no token {_BEGIN}, or none for a language")
        return ("en",) if tokens[_END] == _ENGLISH_END else found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{folder / 'tokenizer.json'} is not a Whisper tokenizer",
            why=str(error),
            remedy="Fetch it again from where the model came from",
        ) from error


LAYOUTS = (
    Layout(
        "Systran/faster-whisper-base",
        (*((name,) for name in _FILES), _VOCABULARIES),
        ("vocabulary.txt", "vocabulary.json", "*whisper*"),
        languages,
    ),
)


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder in the layout of Systran/faster-whisper-…; None for other CTranslate2 models."""
    if missing(folder):
        return None
    try:
        known = languages(folder)
    except ModelFileError:
        return None
    return local_card(
        folder,
        family="whisper",
        task=Task.TRANSCRIPTION,
        languages=known,
        sample_rate=SAMPLE_RATE,
        parts={"vad": "silero-vad", "normalizer": "wetext"},
    )


def expected(folder: Path) -> Iterator[SettingsFile | WeightsFile]:
    """The tokenizer and the weights; CTranslate2 reads the rest."""
    yield SettingsFile(folder / "tokenizer.json", lambda _: languages(folder))
    yield WeightsFile(folder / _FILES[0], ("CTranslate2",))
