"""Kokoro-82M: eight languages, 54 voices that can be mixed, 24 kHz (hexgrad, Apache-2.0)."""

from sonorant.families.kokoro.expected import expected
from sonorant.families.kokoro.layout import LAYOUTS, recognise
from sonorant.families.kokoro.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
