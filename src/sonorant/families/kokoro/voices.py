"""Voices: their styles, mixtures of them, and which one speaks another language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import ModelFileError
from sonorant.families.kokoro.networks import ROOM, STYLE
from sonorant.tasks import Voice, mixture

PREFERRED = (
    "af_heart", "am_fenrir", "bf_emma", "bm_george", "zf_xiaoxiao", "zm_yunxi", "jf_alpha", "jm_kumo",
)  # fmt: skip
"""who speaks where a voice of that language and gender is needed; otherwise the first one"""


def read_style(path: Path) -> NDArray[np.float32]:
    """A voice's file → float32 [510, 256], a row for each number of phonemes. Raises ModelFileError."""
    data = path.read_bytes()
    if len(data) != ROOM * STYLE * 4:
        raise ModelFileError(
            f"{path.name} is not a Kokoro voice",
            why=f"It has {len(data)} bytes, not {ROOM * STYLE * 4}",
            remedy="Pull the model again with `sonorant pull kokoro --force`",
        )
    return np.frombuffer(data, "<f4").reshape(ROOM, STYLE)


def mix(styles: Mapping[str, NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    """The style of "af_heart" or of a mixture, "af_heart+zf_xiaoxiao", "af_heart*0.7+af_bella*0.3"."""
    weights = mixture(name)
    total = sum(weights.values())
    style = sum(weight / total * styles[voice] for voice, weight in weights.items())
    assert not isinstance(style, int)
    return style


def speaker(voices: Mapping[str, Voice], name: str, language: str) -> str:
    """Who says a passage in `language` (primary subtag) when the request asked for `name`.

    The voice itself, or of a mixture those that know the language; else a voice of the same gender.
    "" where the model has no voice for the language.
    """
    asked = mixture(name)
    if _knows(voices[next(iter(asked))], language):
        return name
    able = {voice: weight for voice, weight in asked.items() if _knows(voices[voice], language)}
    if able:
        return "+".join(f"{voice}*{weight:g}" for voice, weight in able.items())
    gender = voices[next(iter(asked))].gender
    candidates = [voice for voice in voices.values() if _knows(voice, language)]
    candidates.sort(key=lambda voice: (voice.gender != gender, voice.name not in PREFERRED))
    return candidates[0].name if candidates else ""


def together(name: str, speakers: Sequence[str]) -> str:
    """Who says a sentence of which `speakers` know a language each, when the request asked for `name`.

    A mixture that was asked for and knows all the languages stays as it is; else all speak with one voice,
    of equal parts.
    """
    asked = mixture(name)
    if len(set(speakers)) < 2:
        return speakers[0]
    if all(set(mixture(who)) <= set(asked) for who in speakers):
        return name
    parts = [mixture(who) for who in dict.fromkeys(speakers)]
    weights: dict[str, float] = {}
    for part in parts:
        for voice, weight in part.items():
            weights[voice] = weights.get(voice, 0.0) + weight / sum(part.values()) / len(parts)
    return "+".join(f"{voice}*{weight:.3g}" for voice, weight in weights.items())


def level(name: str) -> float:
    """How loud a voice or mixture is (benchmarks/kokoro_levels.py)."""
    weights = mixture(name)
    typical = float(np.median(list(_levels().values())))
    return sum(w * _levels().get(voice, typical) for voice, w in weights.items()) / sum(weights.values())


def _knows(voice: Voice, language: str) -> bool:
    return voice.language.split("-")[0] == language


@cache
def _levels() -> dict[str, float]:
    text = files("sonorant.families.kokoro").joinpath("levels.json").read_text(encoding="utf-8")
    levels: dict[str, float] = json.loads(text)
    return levels
