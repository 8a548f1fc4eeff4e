"""HiFi-GAN: mel spectrograms to sound (Kong, Kim and Bae 2020, arXiv 2010.05646; MIT)."""

from sonorant.families.hifigan.layout import LAYOUTS, expected, recognise
from sonorant.families.hifigan.pipeline import load

__all__ = ["LAYOUTS", "expected", "load", "recognise"]
