"""English words → phonemes in misaki's alphabet, which hibari and Kokoro were trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from sonorant.tasks import Pronunciation
from sonorant.text import lexicon as own
from sonorant.text.phonemes import PAIRS, Unit, known
from sonorant.text.written import english as written

_VOWELS = "AIOQWYaeiouæɐɑɒɔəɚɛɜɪʊʌᵊᵻ"
_STRESSED = re.compile(rf"([ˈˌ])([^{_VOWELS}ˈˌ ]+)(?=[{_VOWELS}])")


def units(text: str, *, british: bool = False, lexicon: Sequence[Pronunciation] = ()) -> list[Unit]:
    """The text read out, words of `lexicon` as it says. Raises RequestError for phonemes unknown here."""
    return own.units(text, "en", lexicon, partial(_read, british=british), partial(symbols, british=british))


def symbols(ipa: str, *, british: bool = False) -> list[str]:
    """IPA → the same in misaki's alphabet: diphthongs are one symbol, stress stands before the vowel."""
    ipa = re.sub(r"[.\u0361\s]", "", ipa)
    for pair, symbol in (*PAIRS.items(), ("ɝ", "ɜɹ"), ("ɚ", "əɹ"), ("r", "ɹ"), ("g", "ɡ")):
        ipa = ipa.replace(pair, symbol)
    if not british:
        ipa = ipa.replace("ː", "").replace("Q", "O")
    return [known(_STRESSED.sub(r"\2\1", ipa))]


def normalized(text: str) -> str:
    """Dates, times, money, units, codes, addresses … in words; plain numbers stay in figures."""
    from hibari.g2p import normalize

    words: str = normalize(written.said(text))
    return words


def _read(text: str, *, british: bool) -> list[Unit]:
    """The text normalised and read out (hibari-tts's G2P).

    Words are those of the normalised text; letters, digits and apostrophes without a space between
    them are one word.
    """
    g2p = _g2p(british)
    found: list[Unit] = []
    apart = True
    for token in g2p.phonemize_tokens(g2p.tokenize(normalized(text))):
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
