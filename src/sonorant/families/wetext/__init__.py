"""wetext: text normalisation and its inverse for Chinese, English and Japanese (Apache-2.0).

The grammars come with the `wetext` package, so a folder holds nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.errors import UnsupportedError
from sonorant.tasks import Described
from sonorant.text import english
from sonorant.text.written import chinese, japanese

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host

LANGUAGES = ("zh", "en", "ja")

_DETACHED = re.compile(r"(?<=\w) (?=[.,;:!?…](?:\s|$))")
"""the space that the English inverse grammar leaves between a number and the mark after it"""

_ESCAPED = re.compile(r'\\(["\\])')
"""what the grammars make of quotes and backslashes"""
_ONE_THOUSAND = re.compile(r"(?<![\d.,])1,(\d{3})(?![\d,]|\.\d)")
"""of which the English grammar says "thousand" only"""


def _english(text: str) -> str:
    return _ONE_THOUSAND.sub(lambda n: f"one thousand {n[1].lstrip('0')}".strip(), english.normalized(text))


_PREPARED = {"zh": chinese.said, "en": _english, "ja": japanese.said}
"""what is read otherwise than the grammars would is put in words before"""


class Wetext:
    """A `Normalizer`."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._grammars: dict[tuple[str, str], Any] = {}
        self._simplifier: Any = None

    def describe(self) -> Described:
        return replace(self._card.described(), languages=LANGUAGES)

    def spoken(self, text: str, language: str) -> str:
        """TN. Raises UnsupportedError for a language without grammar. Blocks for about a millisecond."""
        prepare = _PREPARED.get(language.split("-")[0].lower())
        text = prepare(text) if prepare and text.strip() else text
        try:
            return _ESCAPED.sub(r"\1", self._apply(text, language, "tn"))
        except AssertionError:  # the English grammar's, for some signs ("#", "( 5")
            return text

    def written(self, text: str, language: str) -> str:
        """ITN. Raises UnsupportedError for a language without grammar. Blocks for about a millisecond."""
        return _DETACHED.sub("", self._apply(text, language, "itn"))

    def simplified(self, text: str) -> str:
        """Character by character, by wetext's own table. Blocks for about a millisecond."""
        if self._simplifier is None:
            from kaldifst import TextNormalizer
            from wetext.constants import FST_PATHS

            self._simplifier = TextNormalizer(str(FST_PATHS["preprocess"]["traditional_to_simple"]))
        simple: str = self._simplifier(text)
        return simple

    def _apply(self, text: str, language: str, operator: str) -> str:
        language = language.split("-")[0].lower()
        if language not in LANGUAGES:
            raise UnsupportedError(
                f"There is no text normalisation for {language!r}", remedy=f"Known: {', '.join(LANGUAGES)}"
            )
        if not text.strip():
            return text
        key = language, operator
        if key not in self._grammars:
            from wetext import Normalizer

            self._grammars[key] = Normalizer(lang=language, operator=operator)
        normalized: str = self._grammars[key].normalize(text)
        return normalized


def recognise(folder: Path) -> ModelCard | None:
    """Never: there is no folder of it."""
    return None


def load(card: ModelCard, folder: Path, host: Host) -> Wetext:
    """The grammars that the wetext package holds."""
    return Wetext(card)
