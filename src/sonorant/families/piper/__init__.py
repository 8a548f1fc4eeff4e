"""Piper: VITS voices, one .onnx and one .onnx.json each (rhasspy/piper, OHF-Voice/piper1-gpl)."""

from sonorant.families.piper.layout import LAYOUTS, expected, recognise
from sonorant.families.piper.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
