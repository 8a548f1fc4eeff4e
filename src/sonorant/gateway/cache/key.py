"""By what a spoken answer is found again: everything that its bytes depend on, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from sonorant.tasks import Delivery, Described, SpeechRequest, Terms, Text, mixture

FORMAT = 1
"""counts up when the same request would be encoded differently"""
MOST_VOICES = 8
"""in one answer; more do not fit into the name of a file"""


@dataclass(frozen=True, slots=True)
class Key:
    """The name of an entry."""

    digest: str
    """SHA-256, 64 hexadecimal digits"""
    voices: tuple[str, ...]
    """tags of the voices in it, by which it is found when one of them is deleted"""

    def __str__(self) -> str:
        """Letters, digits and dots: a file name, too."""
        return ".".join((self.digest, *self.voices))


def key_of(request: SpeechRequest, text: str | Text, delivery: Delivery, model: Described) -> Key | None:
    """The key of a request whose voices are resolved; None where it cannot be kept.

    That is a text that comes as a stream, or a model that does not say which one it is: another
    model's audio must never be given in its place.
    """
    if not model.artefact or not isinstance(text, str | tuple):
        return None
    spoken = [u.voice for u in text] if isinstance(text, tuple) else []
    voices = sorted({name for voice in {request.voice, *spoken} for name in _names(voice, model)})
    if len(voices) > MOST_VOICES:
        return None
    # of the terms only the tenant counts: nobody is given what another has asked for
    asked = asdict(replace(request, terms=Terms(tenant=request.terms.tenant)))
    contents = {voice.name: voice.content for voice in model.voices if voice.name in voices}
    parts = [FORMAT, model.name, model.artefact, contents, asked, asdict(delivery)]
    parts.append(text if isinstance(text, str) else [asdict(utterance) for utterance in text])
    return Key(_digest(parts), tuple(tag(model.name, voice) for voice in voices))


def tag(model: str, voice: str) -> str:
    """What stands for a voice in the keys of all that it has spoken."""
    return _digest([model, voice])[:16]


def _names(voice: str, model: Described) -> Iterable[str]:
    return mixture(voice) if model.voice_mixing and "+" in voice else [voice]


def _digest(parts: object) -> str:
    return sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
