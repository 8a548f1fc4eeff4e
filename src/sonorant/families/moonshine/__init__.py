"""Moonshine: English speech to text, an encoder on the raw waveform and a decoder (usefulsensors, MIT)."""

from sonorant.families.moonshine.layout import LAYOUTS, expected, recognise
from sonorant.families.moonshine.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
