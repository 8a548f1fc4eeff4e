"""What can be asked and what is answered: requests, events and the tasks' Protocols.

The lowest room of the house. It imports neither numpy nor pydantic, so that the gateway can
speak these types without holding anything that computes.
"""

from sonorant.tasks.audio import AudioChunk, Encoded, SpeechSpan, Upload
from sonorant.tasks.audio_format import AudioFormat
from sonorant.tasks.described import Cost, Described, languages_match
from sonorant.tasks.figures import Figure, Snapshot
from sonorant.tasks.pipelines import (
    Detector,
    Embedder,
    Normalizer,
    Recognizer,
    Scorer,
    Servable,
    Synthesizer,
    Vocoder,
    similarity,
)
from sonorant.tasks.replica import Load, Replica, State
from sonorant.tasks.requests import Delivery, SpeechRequest, TranscriptionRequest, VocodingRequest
from sonorant.tasks.task import DEFAULT_MODELS, OPTIONAL_LIBRARIES, Task
from sonorant.tasks.terms import Quality, Terms, Tier
from sonorant.tasks.text import Pronunciation, Text, Utterance
from sonorant.tasks.transcript import Segment, TranscriptEnd, TranscriptEvent, Word
from sonorant.tasks.voice import Voice, mixture

__all__ = [
    "AudioChunk",
    "AudioFormat",
    "Cost",
    "DEFAULT_MODELS",
    "Delivery",
    "Described",
    "Detector",
    "Embedder",
    "Encoded",
    "Figure",
    "Load",
    "Normalizer",
    "OPTIONAL_LIBRARIES",
    "Pronunciation",
    "Quality",
    "Recognizer",
    "Replica",
    "Scorer",
    "Segment",
    "Servable",
    "Snapshot",
    "SpeechRequest",
    "SpeechSpan",
    "State",
    "Synthesizer",
    "Task",
    "Terms",
    "Text",
    "Tier",
    "TranscriptEnd",
    "TranscriptEvent",
    "TranscriptionRequest",
    "Upload",
    "Utterance",
    "Vocoder",
    "VocodingRequest",
    "Voice",
    "Word",
    "languages_match",
    "mixture",
    "similarity",
]
