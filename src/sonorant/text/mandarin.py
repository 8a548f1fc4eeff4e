"""Mandarin words → pinyin → the IPA that Kokoro was trained on (misaki's legacy Chinese front end)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sonorant.errors import RequestError
from sonorant.text import english
from sonorant.text.phonemes import PUNCTUATION, Unit, known
from sonorant.text.pinyin import words

INITIALS = {
    "": "", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ",
    "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ",
    "s": "s",
}  # fmt: skip

FINALS = {
    "a": "a0", "ai": "ai0", "an": "a0n", "ang": "a0ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0", "en": "ə0n",
    "eng": "ə0ŋ", "i": "i0", "ia": "ja0", "ian": "jɛ0n", "iang": "ja0ŋ", "iao": "jau0", "ie": "je0", "in": "i0n",
    "iou": "jou0", "ing": "i0ŋ", "iong": "jʊ0ŋ", "ong": "ʊ0ŋ", "ou": "ou0", "u": "u0", "uei": "wei0", "ua": "wa0",
    "uai": "wai0", "uan": "wa0n", "uen": "wə0n", "uang": "wa0ŋ", "ueng": "wə0ŋ", "uo": "wo0", "o": "wo0",
    "ü": "y0", "üe": "ɥe0", "üan": "ɥɛ0n", "ün": "y0n",
}  # fmt: skip
"""strict finals (pypinyin) → IPA, 0 where the tone stands"""

WHOLE = {
    "er": "ɚ0",
    "o": "ɔ0",
    "m": "m0",
    "n": "n0",
    "ng": "ŋ0",
    "hm": "hm0",
    "hng": "hŋ0",
    "ê": "ɛ0",
    "r": "ɚ0",
}
"""syllables without an initial and a final of their own"""

TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}

VOICED = {"p": "b", "t": "d", "k": "ɡ"}

_UNASPIRATED = re.compile("[ptk](?!ʰ)")
_LATIN = re.compile(r"[A-Za-z]")
_LETTER_A = re.compile(r"\bA\b(?!\.)")
"""among Chinese words it is no article"""
_HAN = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")


def units(text: str) -> list[Unit]:
    """Normalised Chinese text: a unit a character, so that each has its own time.

    Latin letters are read as English, punctuation passes in its Latin form.
    """
    found: list[Unit] = []
    for stretch in _HAN.split(text.strip()):
        if _HAN.fullmatch(stretch):
            for i, (word, syllables) in enumerate(words(stretch)):
                found += [Unit(" ")] if i else []
                found += map(Unit, map(ipa, syllables), word)
        elif _LATIN.search(stretch):
            letters = _LETTER_A.sub("A.", stretch)
            found += [Unit(" "), *english.aspirated(english.units(letters)), Unit(" ")]
        elif stretch:
            found.append(Unit(stretch.translate(PUNCTUATION)))
    return found


def voiced(units: Iterable[Unit]) -> list[Unit]:
    """Mandarin inside an English sentence: what pinyin writes b, d and g by the symbols of those letters.

    Without aspiration but written p, t and k, they are heard there as English reads them: 宫保 as 空炮.
    """
    return [Unit(_UNASPIRATED.sub(lambda stop: VOICED[stop[0]], unit.phonemes), unit.word) for unit in units]


def symbols(reading: str) -> list[str]:
    """Pinyin with tones, "yue4 qing1", or IPA in Kokoro's own symbols → the symbols of each syllable.

    Raises RequestError for pinyin that is no syllable.
    """
    syllables = reading.lower().replace("v", "ü").split()
    if not all(re.fullmatch(r"[a-zü]+[1-5]", syllable) for syllable in syllables):
        return [known(reading.replace(" ", ""))]
    if wrong := [syllable for syllable in syllables if not ipa(syllable)]:
        raise RequestError(
            f"{wrong[0]!r} is no syllable of Mandarin",
            remedy='Write pinyin with tones 1 to 5, like "/yue4 qing1/"',
            param="lexicon",
        )
    return [ipa(syllable) for syllable in syllables]


def ipa(pinyin: str) -> str:
    """One syllable with its tone as a digit: "hao3" → "xau↓"; "" for what is no syllable."""
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    syllable, tone = pinyin[:-1], TONES.get(pinyin[-1:])
    if tone is None:
        return ""
    if syllable in WHOLE:
        return WHOLE[syllable].replace("0", tone)
    initial, final = to_initials(pinyin, strict=True), to_finals(pinyin, strict=True, v_to_u=True)
    if initial not in INITIALS or final not in FINALS:
        return ""
    sound = "ɨ0" if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s") else FINALS[final]
    return INITIALS[initial] + sound.replace("0", tone)
