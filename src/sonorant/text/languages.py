"""Which language each part of a text is in, by its script and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# written as code points: editors normalise the compatibility ideographs away
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005\u3007"
_KANA = r"\u3041-\u3096\u30a1-\u30fa\u30fc"
_HANGUL = r"\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"
_DEVANAGARI = r"\u0900-\u097f"
_LATIN = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"

_TOKENS = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<kana>[{_KANA}]+)|(?P<hangul>[{_HANGUL}]+)|(?P<devanagari>[{_DEVANAGARI}]+)"
    rf"|(?P<latin>[{_LATIN}][{_LATIN}\d]*(?:['’.&+/_@-][{_LATIN}\d]+)*|\d+[{_LATIN}]+)"
)
"""scripts; a word of Latin letters may hold digits (GPT4, 3D, user@example.com)"""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text in one language."""

    language: str
    """primary language subtag"""
    text: str


def spans(text: str, home: str) -> list[Span]:
    """`text` cut where the language changes; the parts joined are the text.

    home: the voice's own language (primary subtag). Han is Chinese, or Japanese where kana stand in the
    same text or at home; Latin letters are the home language's, or English where that has another script.
    Digits and punctuation go with the Han, kana or Hangul beside them, else with what they follow.
    """
    latin = home if home not in ("zh", "ja", "ko", "hi") else "en"
    japanese = home == "ja" or bool(re.search(rf"[{_KANA}]", text))
    languages = {
        "han": "ja" if japanese else "zh",
        "kana": "ja",
        "hangul": "ko",
        "devanagari": "hi",
        "latin": latin,
    }
    found: list[Span] = []
    at = 0
    for match in _TOKENS.finditer(text):
        language = languages[match.lastgroup or "latin"]
        between = text[at : match.start()]
        if not found:
            found.append(Span(language, between + match.group()))
        elif found[-1].language == language:
            found[-1] = Span(language, found[-1].text + between + match.group())
        else:
            before, after = _divided(between, found[-1].language, language)
            found[-1] = Span(found[-1].language, found[-1].text + before)
            found.append(Span(language, after + match.group()))
        at = match.end()
    if not found:
        return [Span(home, text)] if text else []
    found[-1] = Span(found[-1].language, found[-1].text + text[at:])
    return found


def languages_of(text: str, home: str = "") -> set[str]:
    """The languages whose scripts stand in the text; Latin letters count as `home`, "" if not known."""
    return {span.language for span in spans(text, home) if _TOKENS.search(span.text)}


def _divided(between: str, before: str, after: str) -> tuple[str, str]:
    """Digits, punctuation and spaces between two languages: what goes with which."""
    if not any(c.isdigit() for c in between) or before in ("zh", "ja", "ko"):
        return between, ""
    digit = next(i for i, c in enumerate(between) if c.isdigit())
    return (between[:digit], between[digit:]) if after in ("zh", "ja", "ko") else (between, "")


def knows_all(wanted: Iterable[str], known: Iterable[str]) -> bool:
    """Whether every primary subtag in `wanted` ("" = any) is among the tags `known` ("*" = all)."""
    primary = {tag.split("-")[0].lower() for tag in known}
    return "*" in primary or all(not w or w.split("-")[0].lower() in primary for w in wanted)
