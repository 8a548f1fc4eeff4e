"""Text whose kind is stated (SSML's say-as), written so that any reading of plain text says it right."""

from __future__ import annotations

import re

_PLAIN = frozenset(
    ("cardinal", "number", "date", "time", "currency", "unit", "fraction", "address", "name", "net")
)
"""what the reading of plain text recognises by itself"""
_SPELLED = frozenset(("characters", "spell-out", "verbatim"))
KINDS = _PLAIN | _SPELLED | {"digits", "telephone", "ordinal"}


def said(text: str, kind: str, language: str = "") -> str:
    """`text`, or another way to write it: letters and digits one by one, "3" as "3rd".

    language: BCP 47, "" = not known (read as English where it matters).
    """
    chinese = language.startswith("zh") or bool(re.search(r"[\u4e00-\u9fff]", text))
    if kind in _SPELLED:
        # "A.B." and not "A B": an A by itself is read as the article
        letters = (f"{c.upper()}." if c.isalpha() and c.isascii() else f" {c} " for c in text)
        return " ".join("".join(letters).split())
    if kind == "digits":
        return re.sub(r"\d+", lambda run: " ".join(run[0]), text)
    if kind == "telephone":
        plus = ("加" if chinese else "plus ") if text.startswith("+") else ""
        groups = re.split(r"[\s().+-]+", text)
        spaced = (re.sub(r"\d+", lambda run: " ".join(run[0]), group) for group in groups if group)
        return plus + ", ".join(spaced)
    if kind == "ordinal" and text.isdecimal():
        return f"第{text}" if chinese else f"{text}{_suffix(int(text))}"
    return text


def _suffix(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
