"""Kokoro-82M: eight languages, 54 voices that can be mixed, 24 kHz (hexgrad, Apache-2.0)."""

from sonorant.families.kokoro.layout import recognise
from sonorant.families.kokoro.pipeline import load

__all__ = ["load", "recognise"]
