"""Which language each part of a text is in, by its script and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sonorant.text.written.addresses import ADDRESS
from sonorant.text.written.chinese import CODE, UNIT

# written as code points: editors normalise the compatibility ideographs away
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005\u3007"
_KANA = r"\u3041-\u3096\u30a1-\u30fa\u30fc"
_HANGUL = r"\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"
_DEVANAGARI = r"\u0900-\u097f"
_LATIN = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"

_TOKENS = re.compile(
    rf"(?P<address>{ADDRESS})"
    rf"|(?P<han>[{_HAN}]+)|(?P<kana>[{_KANA}]+)|(?P<hangul>[{_HANGUL}]+)|(?P<devanagari>[{_DEVANAGARI}]+)"
    rf"|(?P<figure>(?:(?<![\d.,])\d[\d.,]* ?(?:{UNIT})|(?<!\d)(?:{CODE})|[A-Z])(?![{_LATIN}'’]))"
    rf"|(?P<latin>[{_LATIN}][{_LATIN}\d]*(?:['’.&+/_@-][{_LATIN}\d]+)*|(?<!\d)\d+[{_LATIN}]+)"
)
"""scripts; a word of Latin letters may hold digits (iPhone15, 3pm). What is written alike in all languages,
addresses apart, is a figure: 5km, A4, 5G"""
_STOP = "，。！？；：、,.!?;:…"


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
    Punctuation goes with what it follows. Figures beside Chinese are Chinese, those of an English span of
    several words English: 我有 iPhone 15 says 十五, "the time is 10:30" in a Chinese sentence ten thirty.
    """
    latin = home if home not in ("zh", "ja", "ko", "hi") else "en"
    japanese = home == "ja" or bool(re.search(rf"[{_KANA}]", text))
    languages = {
        "han": "ja" if japanese else "zh",
        "kana": "ja",
        "hangul": "ko",
        "devanagari": "hi",
    }
    found: list[Span] = []
    words = 0  # of the last span, where it is written in Latin letters
    at = 0
    tokens = list(_TOKENS.finditer(text))
    figures = set() if japanese else _chinese_figures(tokens)
    for i, match in enumerate(tokens):
        language = languages.get(match.lastgroup or "", latin)
        if i in figures:
            language = "zh"
        between = text[at : match.start()]
        if not found:
            found.append(Span(language, between + match.group()))
        elif found[-1].language == language:
            found[-1] = Span(language, found[-1].text + between + match.group())
        else:
            rest, between = _trailing(found[-1], between, words, language)
            before, after = _divided(between, found[-1].language, language, words)
            found[-1] = Span(found[-1].language, rest + before)
            found.append(Span(language, after + match.group()))
            words = 0
        if language == latin:
            words += 2 if match.lastgroup == "address" else 1
        at = match.end()
    if not found:
        return [Span(home, text)] if text else []
    last, tail = found[-1], text[at:]
    if len(found) > 1 and last.language == latin and words == 1 and found[-2].language == "zh":
        rest, tail = _trailing(last, tail, words, "zh")
        before, after = _divided(tail, latin, "zh", words)
        found[-1] = Span(latin, rest + before)
        return [*found, Span("zh", after)] if after else found
    found[-1] = Span(last.language, last.text + tail)
    return found


def size(text: str) -> float:
    """About how many syllables a text has, whatever its script: a character of Chinese, three letters."""
    return sum(1 if c.isdigit() or c >= "\u2e80" else 1 / 3 for c in text if c.isalnum())


def _chinese_figures(tokens: Sequence[re.Match[str]]) -> set[int]:
    """Which of the tokens are figures between Chinese words, or between one and an end of the text."""
    found: set[int] = set()
    words = [i for i, token in enumerate(tokens) if token.lastgroup != "figure"]
    for before, after in pairwise([-1, *words, len(tokens)]):
        beside = {tokens[i].lastgroup for i in (before, after) if 0 <= i < len(tokens)}
        if beside == {"han"}:
            found.update(range(before + 1, after))
    return found


def _trailing(span: Span, between: str, words: int, after: str) -> tuple[str, str]:
    """A single Latin word before Chinese gives the figures at its end away: iPhone | 15, CZ | 3102."""
    figures = re.search(r"\d+$", span.text) if words == 1 and after == "zh" else None
    if not figures:
        return span.text, between
    return span.text[: figures.start()], figures.group() + between


def languages_of(text: str, home: str = "") -> set[str]:
    """The languages whose scripts stand in the text; Latin letters count as `home`, "" if not known."""
    return {span.language for span in spans(text, home) if _TOKENS.search(span.text)}


def _divided(between: str, before: str, after: str, words: int) -> tuple[str, str]:
    """Figures, punctuation and spaces between two languages: what goes with which.

    words: of the span before, where it is written in Latin letters.
    """
    if not any(c.isdigit() for c in between) or before in ("zh", "ja", "ko"):
        return between, ""
    digit = next(i for i, c in enumerate(between) if c.isdigit())
    if after not in ("zh", "ja", "ko") or (words > 1 and between.rstrip()[-1] in _STOP):
        return between, ""
    sign = digit - 1 if digit and between[digit - 1] in "-+¥￥$€£" else digit
    return between[:sign], between[sign:]


def knows_all(wanted: Iterable[str], known: Iterable[str]) -> bool:
    """Whether every primary subtag in `wanted` ("" = any) is among the tags `known` ("*" = all)."""
    primary = {tag.split("-")[0].lower() for tag in known}
    return "*" in primary or all(not w or w.split("-")[0].lower() in primary for w in wanted)
