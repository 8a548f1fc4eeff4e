"""English words → phonemes in misaki's alphabet, which hibari and Kokoro were trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any

from sonorant.tasks import Pronunciation
from sonorant.text import lexicon as own
from sonorant.text.phonemes import PAIRS, PUNCTUATION, Unit, known
from sonorant.text.written import english as written

READINGS = {
    "README": "ɹˈidmi", "JSON": "ʤˈAsən", "YAML": "jˈæməl", "ASCII": "ˈæski", "SaaS": "sˈæs",
    "WIFI": "wˈIfˌI", "IKEA": "Ikˈiə",
    "Huawei": "wˈɑwˌA", "Xiaomi": "ʃˈWmi", "Taobao": "tˈWbˌW", "Weibo": "wˈAbˌO",
}  # fmt: skip
"""what the lexicon of hibari-tts spells letter by letter, or guesses wrongly"""

_WIDE = re.compile(r"\s*([，、。．！？：；（）《》「」【】]+)")
_VOWELS = "AIOQWYaeiouæɐɑɒɔəɚɛɜɪʊʌᵊᵻ"
_ASPIRATED = re.compile(rf"(?:^|(?<!s))[ptkʧ](?=[lɹwj]?[ˈˌ][{_VOWELS}])|^[ptkʧ](?=[lɹwj]?[{_VOWELS}])")
"""before a stressed vowel and where a word begins, not in "speed" (Ladefoged, A Course in Phonetics)"""
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


def aspirated(units: Iterable[Unit]) -> list[Unit]:
    """English for a voice that speaks Mandarin as well, with the aspiration that English leaves unwritten.

    There p, t and k without ʰ are what pinyin writes b, d and g: PDF was heard as BDF, "party" as "Bardi".
    """
    return [Unit(_ASPIRATED.sub(lambda stop: f"{stop[0]}ʰ", unit.phonemes), unit.word) for unit in units]


def flapped(units: Iterable[Unit]) -> list[Unit]:
    """English inside a Mandarin sentence: the flap of "setting", T, by the d that sounds most like it.

    A voice that knows the symbol from English alone says l there: "Settings" was heard as 塞灵.
    """
    return [Unit(unit.phonemes.replace("T", "d"), unit.word) for unit in units]


def normalized(text: str) -> str:
    """Dates, times, money, units, codes, addresses … in words; plain numbers stay in figures."""
    from hibari.g2p import normalize

    words: str = normalize(written.said(text))
    return words


def _read(text: str, *, british: bool) -> list[Unit]:
    """The text read out, with Chinese punctuation between its words, which the G2P takes for letters.

    It ends a stretch that is read by itself: "MB。" is no abbreviation with a full stop of its own.
    """
    found: list[Unit] = []
    for i, part in enumerate(_WIDE.split(text)):
        if i % 2:
            found.append(Unit(part.translate(PUNCTUATION)))
        elif part.strip():
            found += _phrase(part, british=british)
    if found:
        found[-1] = Unit(found[-1].phonemes.rstrip(), found[-1].word)
    return found


def _phrase(text: str, *, british: bool) -> list[Unit]:
    """The text normalised and read out (hibari-tts's G2P).

    Words are those of the normalised text; letters, digits and apostrophes without a space between
    them are one word.
    """
    g2p = _g2p(british)
    found: list[Unit] = []
    apart = True
    for token in g2p.phonemize_tokens(g2p.tokenize(normalized(text))):
        phonemes = READINGS.get(token.text) or token.phonemes or ""
        is_word = any(c.isalnum() for c in token.text)
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
