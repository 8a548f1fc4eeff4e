"""Figures and signs in Japanese text that wetext's grammar reads otherwise than people do."""

from __future__ import annotations

import re
import unicodedata

from sonorant.text.written import addresses, emoji

_TELEPHONE = re.compile(r"(?<![\d-])0\d{1,3}-\d{1,4}-\d{4}(?![\d-])")
_DIGITS = ["ゼロ", "いち", "に", "さん", "よん", "ご", "ろく", "なな", "はち", "きゅう"]


def said(text: str) -> str:
    """Japanese text with addresses, emoji and telephone numbers (groups joined by の) in words."""
    text = unicodedata.normalize("NFKC", addresses.said(emoji.named(text, "ja"), "ja"))
    text = text.replace("°C", "度")
    return _TELEPHONE.sub(_telephone, text)


def _telephone(match: re.Match[str]) -> str:
    return "の".join("".join(_DIGITS[int(digit)] for digit in group) for group in match[0].split("-"))
