"""What a served model says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sonorant.tasks.task import Task
from sonorant.tasks.voice import Voice


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes of a device, as measured: fixed + each × units, in device-seconds.

    A unit is a character of text, or a second of audio that is heard or vocoded.
    """

    fixed: float
    each: float

    def of(self, units: float) -> float:
        return self.fixed + self.each * units


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a served model says of itself to the gateway."""

    name: str
    task: Task
    languages: tuple[str, ...]
    voices: tuple[Voice, ...] = ()
    sample_rate: int | None = None
    """hertz: what it speaks, or what it wants to hear"""
    licence: str = ""
    instructions: bool = False
    """follows `SpeechRequest.instructions`"""
    word_times: bool = False
    """measures when each word is said"""
    translation: bool = False
    """writes in English what is said in its other languages"""
    varied: bool = False
    """says the same text at another pace each time, and no seed prevents it"""
    voice_mixing: bool = False
    """speaks mixtures of its voices: "af_heart+zf_xiaoxiao", "af_heart*0.7+af_bella*0.3\""""
    tiers: bool = False
    """answers better or sooner, as `quality` asks"""
    batched: bool = False
    """runs what several requests want together"""
    cost: Cost | None = None
    """measured when it was warmed up; None = not measured"""
    artefact: str = ""
    """which files, engine and settings say it: the same identity, the same sound; "" = not known"""


def languages_match(asked: str, known: Sequence[str]) -> bool:
    """Whether the primary language of `asked` ("en-GB", "en", "") is among `known`."""
    return not asked or asked.split("-")[0].lower() in {k.split("-")[0].lower() for k in known}
