"""Text in each of Kokoro's languages → units of its phonemes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from sonorant.errors import MissingExtraError
from sonorant.tasks import Normalizer, Pronunciation
from sonorant.text import english, espeak, mandarin
from sonorant.text import lexicon as own
from sonorant.text.english import aspirated, flapped
from sonorant.text.languages import Span, size
from sonorant.text.phonemes import PAIRS, Unit
from sonorant.text.written import addresses, emoji

ESPEAK_VOICES = {"es": "es", "fr": "fr", "hi": "hi", "it": "it", "pt": "pt-br"}

_LATIN = re.compile("[A-Za-z]")
_CLAUSE = re.compile(r"[A-Za-z][A-Za-z '.-]*|[^、。！？A-Za-z]+[、。！？」』）]*|[、。！？」』）]+")


def spoken(
    spans: Sequence[Span], normalizer: Normalizer, lexicon: Sequence[Pronunciation] = ()
) -> list[Unit]:
    """A sentence in one or several languages (BCP 47), said by one voice. Raises as `units`.

    English and Chinese write p, t and k for different sounds; a voice that says both takes them as the
    language that fills the sentence does. What it would take wrongly is written out.
    """
    chinese = sum(size(span.text) for span in spans if _primary(span.language) == "zh")
    english = sum(size(span.text) for span in spans if _primary(span.language) == "en")
    found: list[Unit] = []
    for span in spans:
        found += [Unit(" ")] if found and not found[-1].phonemes.endswith(" ") else []
        told = units(span.text, span.language, normalizer, lexicon)
        if _primary(span.language) == "en" and chinese:
            told = aspirated(told if english > chinese else flapped(told))
        elif _primary(span.language) == "zh" and english > chinese:
            told = mandarin.voiced(told)
        found += told
    return found


def units(
    text: str, language: str, normalizer: Normalizer, lexicon: Sequence[Pronunciation] = ()
) -> list[Unit]:
    """A passage in one language (BCP 47), words of `lexicon` as it says.

    Raises MissingExtraError where the language's front end is an extra, RequestError for phonemes that
    Kokoro does not know.
    """
    primary = _primary(language)
    if primary == "zh":
        return own.units(
            text, "zh", lexicon, lambda part: mandarin.units(normalizer.spoken(part, "zh")), mandarin.symbols
        )
    if primary == "ja":
        return own.units(
            text, "ja", lexicon, lambda part: _japanese(normalizer.spoken(part, "ja")), english.symbols
        )
    if primary in ESPEAK_VOICES:
        read = partial(_european, voice=ESPEAK_VOICES[primary])
        return own.units(text, primary, lexicon, read, partial(english.symbols, british=True))
    return english.units(text, british=language == "en-GB", lexicon=lexicon)


def _primary(language: str) -> str:
    return language.split("-")[0]


def _european(text: str, voice: str) -> list[Unit]:
    """espeak-ng's words; which written word each speaks is known where their numbers agree."""
    language = voice.split("-")[0]
    text = addresses.said(emoji.named(text, language), language).replace("।", ".")
    phonemes = "".join(espeak.phonemize(text, voice)).replace("-", "").replace("\u0361", "")
    if language == "hi":
        phonemes = phonemes.replace("r.", "ɽ")  # ड़, by espeak-ng's own name, whose full stop would be a pause
    for pair, symbol in PAIRS.items():
        phonemes = phonemes.replace(pair, symbol)
    spoken, written = phonemes.split(), re.findall(r"\S*\w\S*", text)
    agree = len(spoken) == len(written)
    found: list[Unit] = []
    for i, word in enumerate(spoken):
        found += [Unit(" ")] if i else []
        found.append(Unit(word, written[i] if agree else ""))
    return found


def _japanese(text: str) -> list[Unit]:
    """misaki's reading. It does not say which word makes which sounds: a clause is one unit."""
    found: list[Unit] = []
    for clause in _CLAUSE.findall(text):
        if _LATIN.match(clause):
            found += [*english.units(clause), Unit(" ")]
        else:
            phonemes, _ = _cutlet()(clause)
            found.append(Unit(f"{phonemes} ", clause.strip()))
    return found


@cache
def _cutlet() -> Any:
    try:
        from misaki.cutlet import (
            Cutlet,  # misaki.ja wants pyopenjtalk too, which Kokoro 1.0 was not trained on
        )
    except ImportError as error:
        raise MissingExtraError(
            "Japanese needs a front end that is not installed",
            why=str(error),
            remedy='Install it: `pip install "sonorant[ja]"`',
        ) from error
    return Cutlet()
