"""What was heard: words, segments, and the end of a transcript."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it was said."""

    text: str
    start: float
    """seconds"""
    end: float
    """seconds"""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its text. Times are measured, never interpolated from the text."""

    start: float
    """seconds from the start of the audio"""
    end: float
    """seconds"""
    text: str
    language: str = ""
    tokens: tuple[int, ...] = ()
    avg_logprob: float | None = None
    """mean natural logarithm of the chosen tokens' probabilities; None = not measured"""
    no_speech_prob: float | None = None
    """1 − mean speech probability that the VAD gave the stretch; None = not measured"""
    words: tuple[Word, ...] | None = None
    """None = not measured"""


@dataclass(frozen=True, slots=True)
class TranscriptEnd:
    """The last event of a transcript."""

    duration: float
    """length of all the audio, seconds"""
    spent: float = 0.0
    """device-seconds that the request has taken"""


TranscriptEvent = Segment | TranscriptEnd
