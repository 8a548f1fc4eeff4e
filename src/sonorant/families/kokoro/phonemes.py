"""Text in each of Kokoro's languages → units of its phonemes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from sonorant.errors import MissingExtraError
from sonorant.tasks import Normalizer
from sonorant.text import english, espeak, mandarin
from sonorant.text.phonemes import Unit

ESPEAK_VOICES = {"es": "es", "fr": "fr-fr", "hi": "hi", "it": "it", "pt": "pt-br"}

_PAIRS = {
    "dʒ": "ʤ", "tʃ": "ʧ", "dz": "ʣ", "ts": "ʦ", "aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "əʊ": "Q",
    "ɔɪ": "Y",
}  # fmt: skip
"""what Kokoro writes as one symbol (misaki's espeak table)"""


def units(text: str, language: str, normalizer: Normalizer) -> list[Unit]:
    """A passage in one language (BCP 47). Raises MissingExtraError where its front end is an extra."""
    primary = language.split("-")[0]
    if primary == "zh":
        return mandarin.units(normalizer.spoken(text, "zh"))
    if primary == "ja":
        return _japanese(text)
    if primary in ESPEAK_VOICES:
        return _european(text, ESPEAK_VOICES[primary])
    return english.units(text, british=language == "en-GB")


def _european(text: str, voice: str) -> list[Unit]:
    """espeak-ng's words; which written word each speaks is known where their numbers agree."""
    phonemes = "".join(espeak.phonemize(text, voice)).replace("-", "").replace("\u0361", "")
    for pair, symbol in _PAIRS.items():
        phonemes = phonemes.replace(pair, symbol)
    spoken, written = phonemes.split(), re.findall(r"\S*\w\S*", text)
    agree = len(spoken) == len(written)
    found: list[Unit] = []
    for i, word in enumerate(spoken):
        found += [Unit(" ")] if i else []
        found.append(Unit(word, written[i] if agree else ""))
    return found


def _japanese(text: str) -> list[Unit]:
    phonemes, _ = _cutlet()(text)
    return [Unit(phonemes)]


@cache
def _cutlet() -> Any:
    try:
        from misaki import ja
    except ImportError as error:
        raise MissingExtraError(
            "Japanese needs a front end that is not installed",
            why=str(error),
            remedy='Install it: `pip install "sonorant[ja]"`',
        ) from error
    return ja.JAG2P()
