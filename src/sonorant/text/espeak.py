"""Phonemes from espeak-ng, through the optional extra sonorant[espeak] (GPL-3)."""

from __future__ import annotations

import threading
from typing import Any

from sonorant.errors import MissingExtraError

_lock = threading.Lock()
"""espeak-ng keeps its voice in global state"""
_espeak: Any = None


def phonemize(text: str, voice: str) -> list[str]:
    """IPA of a sentence by espeak-ng's `voice` ("en-us", "cmn" …), one code point each (NFD).

    Raises MissingExtraError where the extra is not installed.
    """
    with _lock:
        found = _phonemizer().phonemize(voice, text)
    return [phoneme for sentence in found for phoneme in sentence]


def _phonemizer() -> Any:
    global _espeak
    if _espeak is None:
        try:
            from piper.phonemize_espeak import EspeakPhonemizer
        except ImportError as error:
            raise MissingExtraError(
                "This voice needs the espeak-ng front end, which is not installed",
                why="It is licensed under the GPL-3, so it does not come with Sonorant itself",
                remedy='Install it: `pip install "sonorant[espeak]"`',
            ) from error
        _espeak = EspeakPhonemizer()
    return _espeak
