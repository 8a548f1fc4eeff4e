"""Sonorant takes speech models from checkpoint to production.

    import sonorant

    sonorant.say("Hello there.").save("hello.wav")
    print(sonorant.transcribe("hello.wav").text)

Everything here has a plain and an async form in one object: iterate a result with `for` or
`async for`, take the whole with `.result()` or `await`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sonorant.errors import SonorantError
    from sonorant.library import Model, Speech, Transcript, load, say, transcribe
    from sonorant.tasks import AudioChunk, AudioFormat, Segment, TranscriptEnd, Voice, Word, similarity

__all__ = [
    "AudioChunk",
    "AudioFormat",
    "Model",
    "Segment",
    "SonorantError",
    "Speech",
    "TranscriptEnd",
    "Transcript",
    "Voice",
    "Word",
    "__version__",
    "load",
    "say",
    "similarity",
    "transcribe",
]

_HOMES = {
    "sonorant.errors": ("SonorantError",),
    "sonorant.library": ("Model", "Speech", "Transcript", "load", "say", "transcribe"),
    "sonorant.tasks": (
        "AudioChunk",
        "AudioFormat",
        "Segment",
        "TranscriptEnd",
        "Voice",
        "Word",
        "similarity",
    ),
}


def __getattr__(name: str) -> Any:
    """Import numpy, ONNX Runtime and the rest when they are first needed: `import sonorant` stays instant."""
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(module), name)
    raise AttributeError(f"module 'sonorant' has no attribute {name!r}")
