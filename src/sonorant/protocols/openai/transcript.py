"""A transcript in the shapes that OpenAI's clients read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sonorant.protocols.openai.languages import language_name
from sonorant.tasks import Segment, TranscriptionRequest
from sonorant.text.joint import joined


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that was said in one recording."""

    segments: Sequence[Segment]
    duration: float
    """of the audio, seconds"""
    asked: TranscriptionRequest

    @property
    def text(self) -> str:
        return joined(segment.text for segment in self.segments)

    def json(self) -> dict[str, Any]:
        """`response_format=json`"""
        return {"text": self.text, "usage": self._usage()}

    def verbose_json(self, *, segments: bool, words: bool) -> dict[str, Any]:
        """`response_format=verbose_json`. A figure that the model did not measure is null."""
        asked = "en" if self.asked.translate else self.asked.language
        written = next((segment.language for segment in self.segments if segment.language), asked)
        answer: dict[str, Any] = {
            "task": "translate" if self.asked.translate else "transcribe",
            "language": language_name(written),
            "duration": self.duration,
            "text": self.text,
        }
        if segments:
            answer["segments"] = [self._segment(*numbered) for numbered in enumerate(self.segments)]
        if words:
            answer["words"] = [
                {"word": word.text, "start": word.start, "end": word.end}
                for segment in self.segments
                for word in segment.words or ()
            ]
        return answer | {"usage": self._usage()}

    def _segment(self, number: int, segment: Segment) -> dict[str, Any]:
        return {
            "id": number,
            "seek": round(segment.start * 100),  # Whisper's unit: frames of 10 ms
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "tokens": list(segment.tokens),
            "temperature": self.asked.temperature,
            "avg_logprob": segment.avg_logprob,
            "compression_ratio": compression_ratio(segment.text),
            "no_speech_prob": segment.no_speech_prob,
        }

    def _usage(self) -> dict[str, Any]:
        return {"type": "duration", "seconds": self.duration}


def compression_ratio(text: str) -> float:
    """UTF-8 bytes / zlib bytes, as Whisper defines it (openai/whisper, utils.py)."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw))
