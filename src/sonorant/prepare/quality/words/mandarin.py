"""Chinese, and Chinese mixed with English, as the ear gets it: the companion of english.py.

`units` gives the units of which errors are counted: each Chinese character is one, each English word one.
Numbers end as Chinese characters, so that a wrong digit costs the syllables that are wrong. The steps:

1. compatibility forms become plain ones (full width, ℃, ½), traditional characters simplified;
2. a number among English words is English and left to english.py: "at 10:30" is no 十点三十分;
3. WRITTEN: what wetext's grammars would read otherwise than people do: numbers that are said digit by
   digit (telephones, codes, flights), separators of thousands, signs of measures;
4. wetext's grammars for Chinese read dates, times, money, measures, fractions, per cent and ranges out, and
   drop the 儿 that only colours a syllable (花儿, 一点儿; not 女儿): listeners write it at will;
5. SAID: one way for numbers that nobody can hear or nobody means to tell apart: 两百 and 二百, 幺 and 一,
   十点三十分 and 十点三十, 五十八块五 and 五十八元五角 and 五十八点五零元;
6. punctuation goes; English words become those of `english.normalize`.

What can be heard is kept: 两个 and 二个, 星期 and 周, 公斤 and 千克, 半 and 三十分, word order, and every
character as it is written: 他 and 她 differ here. `syllables` is the measure that homophones survive.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from sonorant.prepare.quality.words.english import Rule, apply, normalize

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff"
DIGITS = "零一二三四五六七八九"
MEASURES = {
    "km/h": "公里每小时", "km": "公里", "cm": "厘米", "mm": "毫米", "m": "米",
    "kg": "千克", "mg": "毫克", "g": "克", "ml": "毫升", "l": "升", "°c": "摄氏度", "°f": "华氏度", "°": "度",
}  # fmt: skip
MEASURED = re.compile(rf"[^A-Za-z]*\d ?(?:{'|'.join(MEASURES)})[^A-Za-z]*", re.IGNORECASE)


def _digits(number: re.Match[str] | str) -> str:
    text = number if isinstance(number, str) else number[0]
    return re.sub(r"\d", lambda figure: DIGITS[int(figure[0])], re.sub(r"[- ]", "", text))


WRITTEN: list[Rule] = [
    (r"[~–—−]", "-"),
    (r"(?<=\d),(?=\d{3}(?!\d))", ""),
    (r"(?<![\d.])1\d{2}[- ]?\d{4}[- ]?\d{4}(?!\d)", _digits),  # mobile telephones
    (r"(?<![\d.])(?:0\d{2,3}[- ]?\d{7,8}|[48]00[- ]?\d{3}[- ]?\d{4}|\d{3,4}-\d{4})(?!\d)", _digits),
    (r"(?<![\d.])\d{7,}(?<!0000)(?![\d.])", _digits),
    (rf"(?<![\d.:-])(?:0\d+|\d{{5,}}(?<!000))(?![\d.%{HAN}])", _digits),  # codes
    *((rf"(?<=\d) ?{sign}(?![A-Za-z/])", name) for sign, name in MEASURES.items()),
    (r"(\d+(?:\.\d+)?)公里(?:每小时|/小时|/时)", r"每小时\1公里"),
    (r"(\.\d*[1-9])000(?=[克米瓦])", r"\1千"),  # 0.2千克, as listeners write it
    (r"(?<![\d.])([01]?\d|2[0-4])\.([0-5]\d)分", r"\1点\2分"),  # 点 is of the clock as well
    (r"百分之(\d+(?:\.\d+)?)", r"\1%"),
    (r"(?<![\d.¥$€£])(\d+)\.(\d+)(?![\d.%])", lambda match: f"{match[1]}点{_digits(match[2])}"),
    (r"(?<![\d.])2(?=年(?!级))", "两"),
]
NO_NUMBER = "(?![十百千万亿点个])"
"""in 四块五一共 the 五 is money, in 四块五个 it is not"""
SAID: list[Rule] = [
    (r"於", "于"),  # left by the simplification
    (r"两(?=[百千万亿点])", "二"),
    (r"〇", "零"),
    (rf"幺(?=[{DIGITS}幺])|(?<=[{DIGITS}幺])幺", "一"),
    (rf"(?<=[{DIGITS}十]点)[整钟]", ""),
    (rf"(?<=[{DIGITS}十]点)((?:零|[二三四五]?十)[{DIGITS}]?)分", r"\1"),
    (rf"(?<=[{DIGITS}十百千万亿])块(?:钱|(?=[{DIGITS}][角毛]))", "元"),
    (rf"(?<=[{DIGITS}十百千万亿])块([{DIGITS}]){NO_NUMBER}", r"点\1元"),
    (rf"元([{DIGITS}])[角毛](?:([{DIGITS}])分?)?钱?", r"点\1\2元"),
    (rf"(点[{DIGITS}]*?)零+(?=元|美元|欧元|英镑)", r"\1"),
    (r"点(?=元|美元|欧元|英镑)", ""),
]


def units(text: str) -> list[str]:
    """The Chinese characters and English words of `text` as the ear gets them."""
    text = unicodedata.normalize("NFKC", re.sub(r"(?<=\d)(?=[¼½¾⅓⅔])", "又", text)).replace("⁄", "/")
    if re.search(f"[{HAN}]", text):
        text = re.sub(r"(?<=[A-Za-z])-?\d{3,}(?!\d)", _digits, text)  # flight CZ3102
    return list(_units(text))


def _units(text: str) -> Iterator[str]:
    done = 0
    for start, stop in _english_spans(text):
        yield from _chinese(text[done:start])
        english = re.sub(r"(?i)\b(at|time is) (\d{1,2})\.([0-5]\d)(?!\d)", r"\1 \2:\3", text[start:stop])
        yield from normalize(english)  # a listener to Chinese writes 10.30 for ten thirty
        done = stop
    yield from _chinese(text[done:])


def _english_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where `text` is English: from letter to letter, with the numbers before and after of two words or more.

    Beside a single word (iPhone 15, 20MB) or a Chinese character a number is said in Chinese, and the sign
    of a measure after it (5km) as well.
    """
    for match in re.finditer(rf"[^{HAN}]+", text):
        letters = [place for place in range(*match.span()) if re.match(r"[A-Za-z]", text[place])]
        if not letters or MEASURED.fullmatch(match[0]):
            continue
        start, stop = letters[0], letters[-1] + 1
        stop += text[stop : stop + 1] == "."  # U.S.A.
        if len(re.findall(r"[A-Za-z']+", match[0])) > 1:
            start = 0 if match.start() == 0 else start
            stop = len(text) if match.end() == len(text) else stop
        yield start, stop


def _chinese(text: str) -> list[str]:
    """The characters of a stretch of Chinese."""
    text = apply(SAID, _grammar().normalize(apply(WRITTEN, text)))
    return re.findall(f"[{HAN}]|[a-z]+|[0-9]", text.lower())


@functools.cache
def _grammar() -> Any:
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn", traditional_to_simple=True, remove_erhua=True)


def syllables(spoken: list[str], sandhi: bool = False) -> list[str]:
    """The pinyin of each character of `spoken`, with its tone (xing2, de5); English words as they are.

    pypinyin's dictionary of phrases chooses between readings: yin2 hang2, xing2 zou3. `sandhi` False: the
    tones of the dictionary; True: those of connected speech (bu2 shi4, yi4 qi3; a third tone before a third
    is a second, in a word and between words: ni2 hao3, li2 zou3).
    """
    from pypinyin import Style, lazy_pinyin

    told: list[str] = []
    for is_word, run in itertools.groupby(spoken, key=lambda unit: unit.isascii()):
        if is_word:
            told += run
        else:
            told += lazy_pinyin("".join(run), Style.TONE3, neutral_tone_with_five=True, tone_sandhi=sandhi)
    if sandhi:
        told = [
            f"{one[:-1]}2" if one.endswith("3") and after.endswith("3") else one
            for one, after in itertools.zip_longest(told, told[1:], fillvalue="")
        ]
    return told
