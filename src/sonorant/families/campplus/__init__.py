"""CAM++: speaker embedding, a voice as 192 numbers (Alibaba's 3D-Speaker, Apache-2.0)."""

from sonorant.families.campplus.layout import recognise
from sonorant.families.campplus.pipeline import load

__all__ = ["load", "recognise"]
