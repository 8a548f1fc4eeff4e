"""Mandarin words → pinyin: jieba's words, pypinyin's readings, and what decides between several.

The tones of 一 and 不 are those of connected speech. Of a third tone before a third Kokoro makes a second
by itself (its training text had dictionary tones; measured: 你好 and 很好 rise as if written ní, hén), so
these stay.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from itertools import accumulate
from typing import Any

from sonorant.text.polyphones import ALONE, NEUTRAL, NO_SUFFIX, PHRASES

_FOURTH, _NEUTRAL = "4", "5"
_FIGURES = "零〇一二三四五六七八九十百千万亿"
_PHRASES = re.compile("|".join(PHRASES))
_DECIMAL = re.compile(f"点[{_FIGURES}]")


def words(text: str) -> list[tuple[str, list[str]]]:
    """A stretch of Han → its words, each with a syllable a character: ("银行", ["yin2", "hang2"])."""
    found = _jieba().lcut(text)
    ends = list(accumulate(map(len, found)))
    syllables = _connected(text, _readings(text, found), {end - 1 for end in ends})
    return [(word, syllables[end - len(word) : end]) for word, end in zip(found, ends, strict=True)]


def _readings(text: str, found: list[str]) -> list[str]:
    """The syllable of each character, in the tones of the dictionary."""
    from pypinyin import Style, lazy_pinyin

    syllables: list[str] = []
    for word in found:
        for part in _known(word):
            at = len(syllables)
            told = lazy_pinyin(part, style=Style.TONE3, neutral_tone_with_five=True)
            syllables += told if len(told) == len(part) else [_single(character) for character in part]
            for i in _open(part):
                syllables[at + i] = _alone(text, at + i) or syllables[at + i]
            for i in range(len(part) - 1):
                if part[i : i + 2] in NEUTRAL:
                    syllables[at + i + 1] = syllables[at + i + 1][:-1] + _NEUTRAL
    borders = {0, *accumulate(map(len, found))}
    for match in _PHRASES.finditer(text):
        if {match.start(), match.end()} <= borders:
            syllables[match.start() : match.end()] = PHRASES[match[0]].split()
    return syllables


def _known(word: str) -> list[str]:
    """Words of the dictionary; jieba guesses others, whose parts are likelier to be read right."""
    return [word] if word in _jieba().dt.FREQ else _jieba().lcut(word, HMM=False)


def _open(word: str) -> list[int]:
    """Places of the characters that no phrase of pypinyin's decides."""
    from pypinyin.seg import mmseg

    places, at = [], 0
    for phrase in mmseg.seg.cut(word):
        if len(phrase) == 1 and phrase in ALONE:
            places.append(at)
        at += len(phrase)
    return places


def _alone(text: str, at: int) -> str:
    """What ALONE says of the character at a place; "" = nothing."""
    before, after = text[:at], text[at + 1 :]
    for left, right, reading in ALONE[text[at]]:
        if (not left or re.search(f"(?:{left})$", before)) and re.match(right, after):
            return reading
    return ""


def _single(character: str) -> str:
    from pypinyin import Style, lazy_pinyin

    return "".join(lazy_pinyin(character, style=Style.TONE3, neutral_tone_with_five=True))


def _connected(text: str, syllables: list[str], ends: set[int]) -> list[str]:
    """一 and 不 by the tone behind (yí gè, yì tiān, bú shì), between the same (kàn yi kàn); 儿 as an ending.

    ends: places of the last characters of words.
    """
    told = list(syllables)
    for i, character in enumerate(text):
        behind, tone = text[i + 1 : i + 2], syllables[i + 1][-1] if i + 1 < len(text) else ""
        doubled = bool(i and behind) and text[i - 1] == behind and behind not in _FIGURES
        if character == "一" and syllables[i][:-1] == "yi":
            bare = not behind or (i in ends and i - 1 not in ends) or _ordinal(text, i)
            told[i] = (
                "yi5" if doubled else "yi1" if bare else "yi2" if tone == _FOURTH or behind == "个" else "yi4"
            )
        elif character == "不" and syllables[i] in ("bu2", "bu4"):
            told[i] = "bu5" if doubled else "bu2" if tone == _FOURTH else "bu4"
        elif character == "儿" and i in ends and i and text[i - 1] not in NO_SUFFIX:
            told[i] = "er5"
    return told


def _ordinal(text: str, at: int) -> bool:
    """Whether 一 stands in a row of figures, or names one of a row: 一九四九, 十一, 一点五, 第一, 一月."""
    before, behind = text[at - 1 : at] or " ", text[at + 1 : at + 3]
    if behind[0] in "百千万亿":
        return before in "十"
    return before in f"第点{_FIGURES}" or behind[0] in f"月号日{_FIGURES}" or bool(_DECIMAL.match(behind))


@cache
def _jieba() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and pkg_resources in its sources
        import jieba
    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba
