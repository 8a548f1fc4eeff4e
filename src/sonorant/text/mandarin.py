"""Mandarin words → pinyin → the IPA that Kokoro was trained on (misaki's legacy Chinese front end).

The words are jieba's, the readings pypinyin's. There is no tone sandhi: the training text had none,
and the network learned it from the audio.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import Any

from sonorant.text.phonemes import Unit

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

PUNCTUATION = str.maketrans(
    {
        "，": ", ", "、": ", ", "。": ". ", "．": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; ",
        "（": " (", "）": ") ", "《": " “", "》": "” ", "「": " “", "」": "” ", "【": " “", "】": "” ",
    }
)  # fmt: skip

_HAN = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")


def units(text: str) -> list[Unit]:
    """Normalised Chinese text; what is not Han passes as it is, punctuation in its Latin form."""
    found: list[Unit] = []
    for stretch in _HAN.split(text):
        if _HAN.fullmatch(stretch):
            for i, word in enumerate(_jieba().lcut(stretch)):
                found += [Unit(" ")] if i else []
                found += _syllables(word)
        elif stretch:
            found.append(Unit(stretch.translate(PUNCTUATION)))
    return found


def _syllables(word: str) -> list[Unit]:
    """A unit a character, so that each has its own time."""
    from pypinyin import Style, lazy_pinyin

    readings = lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True)
    if len(readings) != len(word):
        return [Unit("".join(ipa(reading) for reading in readings), word)]
    return [Unit(ipa(reading), character) for reading, character in zip(readings, word, strict=True)]


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


@cache
def _jieba() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and pkg_resources in its sources
        import jieba
    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba
