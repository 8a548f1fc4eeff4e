"""hibari: English, 6 M parameters, 24 kHz, a spectrum for every 12.5 ms (hibari-tts, Apache-2.0)."""

from sonorant.families.hibari.layout import LAYOUTS, expected, recognise
from sonorant.families.hibari.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
