"""English numbers: from words to digits and back.

In digits, all ways of saying a number meet: "two thousand and eight" and "2008". In words, numbers are
said two digits at a time, so that 1969 is also "nineteen sixty nine", 10:30 "ten thirty" and 221 "two
twenty one": forms that nobody can hear apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import takewhile

UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
         "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
         "nineteen"]  # fmt: skip
TENS = ["", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = {"trillion": 10**12, "billion": 10**9, "million": 10**6, "thousand": 10**3}


def _ordinal(word: str) -> str:
    irregular = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
                 "nine": "ninth", "twelve": "twelfth"}  # fmt: skip
    return irregular.get(word) or (f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th")


CARDINALS = {word: n for n, word in enumerate(UNITS)} | {word: 10 * n for n, word in enumerate(TENS) if n > 1}
ORDINALS = {_ordinal(word): n for word, n in CARDINALS.items() if n}


def in_digits(words: list[str]) -> Iterator[str]:
    """Replace each run of number words by one number in digits: 2008, 3.5, 22th."""
    i = 0
    while i < len(words):
        if words[i] in ORDINALS:
            yield f"{ORDINALS[words[i]]}th"
        elif _value(words[i]) is None:
            yield words[i]
        else:
            number, i = _number(words, i)
            yield number
            continue
        i += 1


def _value(word: str) -> Decimal | None:
    if word == "oh":
        return Decimal(0)
    if word in CARDINALS:
        return Decimal(CARDINALS[word])
    return Decimal(word) if re.fullmatch(r"\d+(\.\d+)?", word) else None


def _number(words: list[str], start: int) -> tuple[str, int]:
    """The longest number that begins at words[start], in digits, and the place after it.

    `room` bounds the next word of the same number: 10 after "twenty", 100 after "hundred", 1000 after
    "thousand", nothing after "five" or a number in digits: "nineteen sixty nine" is 19 and 69.
    """

    def fits(place: int) -> bool:
        value = (_value(words[place]) or ORDINALS.get(words[place], 0)) if place < len(words) else 0
        return 0 < value < room

    total, part = Decimal(0), _value(words[start]) or Decimal(0)
    room, i = 10 if words[start] in TENS[2:] else 0, start + 1
    while i < len(words):
        word = words[i]
        if word == "hundred" and 0 < part < 100:
            part, room = part * 100, 100
        elif word in SCALES and part:
            total, part, room = total + part * SCALES[word], Decimal(0), SCALES[word]
        elif word in ORDINALS and fits(i):
            return f"{int(total + part) + ORDINALS[word]}th", i + 1
        elif fits(i):
            part, room = part + (_value(word) or 0), 10 if word in TENS[2:] else 0
        elif word == "point" and "." not in str(part) and (digits := _decimals(words[i + 1 :])):
            part, room, i = Decimal(f"{part}.{''.join(digits)}"), 0, i + len(digits)
        elif not (word == "and" and room >= 100 and fits(i + 1)):
            break
        i += 1
    if i == start + 1 and words[start][0].isdigit():
        return words[start], i
    return str(int(total + part) if total else part), i


def _decimals(words: list[str]) -> list[str]:
    figures = takewhile(lambda word: word.isdigit() or word == "oh" or word in UNITS[:10], words)
    return [word if word.isdigit() else str(_value(word)) for word in figures]


def in_words(word: str) -> list[str]:
    """The words of a number in digits (2008, 3.5, 22th, 1990s); any other word as it is."""
    match = re.fullmatch(r"(\d+)(?:\.(\d+)|(st|nd|rd|th)|(s))?", word)
    if match is None:
        return [word]
    whole, decimals, ordinal, plural = match.groups()
    if len(whole) > 15 or (whole[0] == "0" and len(whole) > 1):
        return [UNITS[int(figure)] for figure in whole]
    words = _spoken(int(whole))
    if decimals:
        words += ["point", *(UNITS[int(figure)] for figure in decimals)]
    elif ordinal:
        words[-1] = _ordinal(words[-1])
    elif plural:  # the nineties
        words[-1] = re.sub(r"y$", "ie", words[-1]) + "s"
    return words


def _spoken(number: int) -> list[str]:
    """Two digits at a time below ten thousand (1250 → twelve fifty), by thousands above."""
    if number < 20:
        return [UNITS[number]]
    if number < 100:
        return [TENS[number // 10]] + [UNITS[number % 10]] * (number % 10 > 0)
    for name, scale in SCALES.items():
        if number >= scale and (number >= 10_000 or number % scale == 0):
            return [*_spoken(number // scale), name, *(_spoken(number % scale) if number % scale else [])]
    rest = ["hundred"] if number % 100 == 0 else ["zero"] * (number % 100 < 10) + _spoken(number % 100)
    return [*_spoken(number // 100), *rest]
