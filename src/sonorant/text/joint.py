"""Putting a transcript together from its segments."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def joined(pieces: Iterable[str]) -> str:
    """The text of several segments."""
    text = ""
    for piece in pieces:
        text += joint(text, piece) + piece
    return text


def joint(before: str, after: str) -> str:
    """What stands between two segments: a space, unless one side is written without spaces."""
    return "" if not before or not after or _unspaced(before[-1]) or _unspaced(after[0]) else " "


def _unspaced(character: str) -> bool:
    """Han, kana and their full-width punctuation; Hangul is wide too, but Korean has spaces."""
    wide = unicodedata.east_asian_width(character) in "WF"
    return wide and not unicodedata.name(character, "").startswith("HANGUL")
