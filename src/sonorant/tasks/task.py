"""What a model does, and which ones do it where nobody names one."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """What a model does."""

    SPEECH = "text-to-speech"
    TRANSCRIPTION = "speech-to-text"
    VAD = "voice-activity-detection"
    NORMALIZATION = "text-normalization"
    EMBEDDING = "speaker-embedding"
    VOCODING = "vocoding"
    SCORING = "speech-quality"


DEFAULT_MODELS: dict[Task, tuple[str, ...]] = {
    Task.SPEECH: ("hibari", "kokoro"),
    Task.TRANSCRIPTION: ("moonshine-tiny", "whisper-base"),
}
"""what is served where no model is named; which of them is used depends on the language (`fitting`)"""
OPTIONAL_LIBRARIES = {"whisper-base": "faster_whisper"}
"""the defaults whose library is an extra; without it they are left out"""
