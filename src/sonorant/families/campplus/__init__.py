"""CAM++: speaker embedding, a voice as 192 numbers (Alibaba's 3D-Speaker, Apache-2.0)."""

from sonorant.families.campplus.layout import LAYOUTS, expected, recognise
from sonorant.families.campplus.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
