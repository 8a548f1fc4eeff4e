"""Voices and mixtures of them."""

from __future__ import annotations

from dataclasses import dataclass

from sonorant.errors import UnknownVoiceError


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a text-to-speech model."""

    name: str
    language: str
    """BCP 47"""
    gender: str = ""
    description: str = ""
    content: str = ""
    """which sound it is: SHA-256 of its data, where they are not part of the model"""


def mixture(voice: str) -> dict[str, float]:
    """A voice name, or names with weights: "a*0.7+b*0.3", "a+b" → {name: weight}.

    Raises UnknownVoiceError for a weight that is no positive number.
    """
    weights: dict[str, float] = {}
    for part in voice.split("+"):
        name, star, weight = part.strip().partition("*")
        try:
            value = float(weight) if star else 1.0
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf") or not name:
            raise UnknownVoiceError(
                f"{voice!r} is not a mixture of voices",
                remedy="Write it like af_heart+zf_xiaoxiao or af_heart*0.7+af_bella*0.3",
                param="voice",
            )
        weights[name.strip()] = weights.get(name.strip(), 0.0) + value
    return weights
