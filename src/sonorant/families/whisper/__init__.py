"""Whisper: speech of 99 languages to text, or to English, by faster-whisper and CTranslate2 (OpenAI, MIT)."""

from sonorant.families.whisper.layout import LAYOUTS, expected, recognise
from sonorant.families.whisper.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
