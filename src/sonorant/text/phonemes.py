"""Phonemes on their way into a network: units with the words that they speak, ids in pieces that fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sonorant.errors import RequestError

PAIRS = {
    "dʒ": "ʤ", "tʃ": "ʧ", "dz": "ʣ", "ts": "ʦ", "aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "əʊ": "Q",
    "ɔɪ": "Y",
}  # fmt: skip
"""what misaki's alphabet, which hibari and Kokoro were trained on, writes as one symbol"""

PUNCTUATION = str.maketrans(
    {
        "，": ", ", "、": ", ", "。": ". ", "．": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; ",
        "（": " (", "）": ") ", "《": " “", "》": "” ", "「": " “", "」": "” ", "【": " “", "】": "” ",
    }
)  # fmt: skip
"""Chinese punctuation as misaki's alphabet has it"""

ALPHABET = frozenset(
    ';:,.!?—…"()“” \u0303ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyz'
    "ɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
)
"""misaki's symbols"""


def known(symbols: str) -> str:
    """`symbols`. Raises RequestError for one that is not in the alphabet."""
    if strange := sorted(set(symbols) - ALPHABET):
        raise RequestError(
            f"The phonemes /{symbols}/ hold {' '.join(strange)}, which this model does not know",
            remedy="Write IPA of the language, or another spelling without slashes",
            param="lexicon",
        )
    return symbols


@dataclass(frozen=True, slots=True)
class Unit:
    """Some phonemes, and the word that they speak: "" for spaces, pauses and punctuation."""

    phonemes: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """As many units as a network takes at once."""

    ids: tuple[int, ...]
    words: tuple[str, ...]
    """of each unit; "" for those that speak none"""
    sizes: tuple[int, ...]
    """ids of each unit; their sum is len(ids)"""


def pieces(units: Iterable[Unit], vocabulary: Mapping[str, int], room: int) -> list[Piece]:
    """Ids of the units, cut before a word where more than `room` would come together.

    Phonemes that the vocabulary lacks are left out. None at all where nothing can be spoken.
    """
    found: list[Piece] = []
    here: list[tuple[Unit, list[int]]] = []
    for unit in units:
        ids = [vocabulary[symbol] for symbol in unit.phonemes if symbol in vocabulary]
        for start in range(0, len(ids) or 1, room):
            some = ids[start : start + room]
            if sum(len(i) for _, i in here) + len(some) > room:
                found += _piece(here)
                here = []
            here.append((unit, some))
    return found + _piece(here)


def _piece(units: Sequence[tuple[Unit, list[int]]]) -> list[Piece]:
    if not any(c.isalpha() for unit, ids in units if ids for c in unit.phonemes):
        return []
    return [
        Piece(
            tuple(i for _, ids in units for i in ids),
            tuple(unit.word for unit, _ in units),
            tuple(len(ids) for _, ids in units),
        )
    ]
