"""Who listens: a recogniser, predictors of MOS, a speaker embedding. None of them is what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import SonorantError
from sonorant.networks.proof import Note
from sonorant.tasks import AudioChunk

if TYPE_CHECKING:
    from sonorant.library import Model

Hear = Callable[[AudioChunk], str]
Score = Callable[[AudioChunk], float]
Embed = Callable[[AudioChunk], NDArray[np.float32]]

LISTENERS = {"en": "moonshine-base"}
"""language → the recogniser that hears it best among the small ones; others are heard by Whisper base"""
LISTENER = "whisper-base"
SCORERS = ("dnsmos", "distillmos")
VOICES = "campplus"


@dataclass(slots=True)
class Judges:
    """Whoever is there. What nobody can judge is not measured, and `absent` says why."""

    hear: Hear | None = None
    scorers: dict[str, Score] = field(default_factory=dict)
    embed: Embed | None = None
    absent: dict[str, Note] = field(default_factory=dict)
    """role (listener, dnsmos, distillmos, campplus) → why it is missing"""
    names: dict[str, str] = field(default_factory=dict)
    """role → model"""

    def reason(self, role: str) -> Note:
        return self.absent.get(role, Note(f"{role} was not asked"))


def judges(language: str = "en") -> Judges:
    """Load them all. One that lacks a library or cannot be fetched is noted as absent."""
    found = Judges()
    primary = language.split("-")[0].lower() or "en"
    listener = _loaded(found, "listener", LISTENERS.get(primary, LISTENER))
    if listener is not None:
        found.hear = lambda audio: listener.transcribe(audio, language=primary).text
    for name in SCORERS:
        if scorer := _loaded(found, name, name):
            found.scorers[name] = _scoring(scorer)
    if voices := _loaded(found, VOICES, VOICES):
        found.embed = lambda audio: voices.embed(audio).result()
    return found


def _scoring(model: Model) -> Score:
    return lambda audio: model.score(audio).result()


def _loaded(found: Judges, role: str, name: str) -> Model | None:
    import sonorant

    try:
        model = sonorant.load(name)
    except SonorantError as error:
        found.absent[role] = Note(str(error))
        return None
    found.names[role] = name
    return model
