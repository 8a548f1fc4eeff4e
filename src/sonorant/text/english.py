"""English words → phonemes in misaki's alphabet, which hibari and Kokoro were trained on."""

from __future__ import annotations

from functools import cache
from typing import Any

from sonorant.text.phonemes import Unit


def units(text: str, *, british: bool = False) -> list[Unit]:
    """The text normalised (numbers, dates, money, units, abbreviations) and read out (hibari-tts's G2P).

    Words are those of the normalised text; letters, digits and apostrophes without a space between
    them are one word.
    """
    from hibari.g2p import normalize

    g2p = _g2p(british)
    found: list[Unit] = []
    apart = True
    for token in g2p.phonemize_tokens(g2p.tokenize(normalize(text))):
        phonemes, is_word = token.phonemes or "", any(c.isalnum() for c in token.text)
        if is_word and not apart and found and found[-1].word:
            found[-1] = Unit(found[-1].phonemes + phonemes, found[-1].word + token.text)
        else:
            found.append(Unit(phonemes, token.text if is_word else ""))
        apart = bool(token.whitespace)
        if apart:
            found.append(Unit(" "))
    return found[:-1] if apart else found


@cache
def _g2p(british: bool) -> Any:
    from hibari.g2p import G2P

    return G2P(british=british)
