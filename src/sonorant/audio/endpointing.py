"""From speech probabilities to the stretches in which somebody speaks (端点检测)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonorant.tasks import SpeechSpan


@dataclass(frozen=True)
class Endpointing:
    """When speech begins and ends."""

    onset: float = 0.4
    """a frame at least this probable begins speech; Silero's own 0.5 loses soft first words"""
    offset: float = 0.25
    """frames below this are silence"""
    end_silence: float = 0.5
    """seconds of silence that end a stretch"""
    shortest: float = 0.1
    """seconds; shorter bursts are noise"""
    longest: float = 18.0
    """seconds; longer stretches are cut where speech is least probable"""
    padding: float = 0.2
    """seconds kept before and after, at most half of `end_silence`"""


class Endpointer:
    """Spans out of a stream of frames. It holds at most `longest` + `end_silence` seconds of audio."""

    def __init__(self, frame: int, sample_rate: int, settings: Endpointing | None = None) -> None:
        settings = settings or Endpointing()
        per_second = sample_rate / frame
        self._frame, self._settings = frame, settings
        self._silence = max(1, round(settings.end_silence * per_second))
        self._shortest = max(1, round(settings.shortest * per_second))
        self._longest = max(self._silence + 1, round(settings.longest * per_second))
        self._padding = round(min(settings.padding, settings.end_silence / 2) * per_second)
        self._probabilities = np.zeros(0, np.float32)
        self._samples = np.zeros(0, np.float32)
        self._origin = 0  # frame at which the two arrays begin
        self._start: int | None = None  # frame at which the stretch being spoken began
        self._last = 0  # its last frame of speech
        self._floor = 0  # end of the span before: spans do not overlap

    def push(self, probabilities: NDArray[np.float32], samples: NDArray[np.float32]) -> list[SpeechSpan]:
        """probabilities [n] of the frames samples [n · frame] → the spans that ended in them."""
        first = self._origin + len(self._probabilities)
        self._probabilities = np.concatenate([self._probabilities, probabilities])
        self._samples = np.concatenate([self._samples, samples])
        spans: list[SpeechSpan] = []
        for frame, probability in enumerate(probabilities, first):
            if self._start is None:
                if probability >= self._settings.onset:
                    self._start = self._last = frame
                continue
            if probability >= self._settings.offset:
                self._last = frame
            if frame - self._last >= self._silence:
                spans += self._end(self._last + 1, self._padding)
                self._start = None
            elif frame + 1 - self._start >= self._longest:
                cut = self._weakest(self._start + self._longest * 2 // 3, frame)
                spans += self._end(cut, 0)
                self._start = cut
        self._forget()
        return spans

    def finish(self, end: int) -> list[SpeechSpan]:
        """The audio is over after `end` samples: the last span, if speech was going on."""
        if self._start is None:
            return []
        spans = self._end(self._last + 1, self._padding)
        self._start = None
        return [
            SpeechSpan(s.start, min(s.end, end), s.probability, s.samples[: max(0, end - s.start)])
            for s in spans
        ]

    def _end(self, end: int, padding: int) -> list[SpeechSpan]:
        assert self._start is not None
        if end - self._start < self._shortest:
            return []
        known = self._origin + len(self._probabilities)
        first, last = max(self._start - self._padding, self._floor), min(end + padding, known)
        self._floor = last
        probability = self._probabilities[self._start - self._origin : end - self._origin].mean()
        begin = first - self._origin
        samples = self._samples[begin * self._frame : (last - self._origin) * self._frame].copy()
        return [SpeechSpan(first * self._frame, last * self._frame, float(probability), samples)]

    def _weakest(self, first: int, last: int) -> int:
        return first + int(np.argmin(self._probabilities[first - self._origin : last - self._origin]))

    def _forget(self) -> None:
        """Drop the frames that no span can reach any more."""
        known = self._origin + len(self._probabilities)
        keep = max((known if self._start is None else self._start) - self._padding, self._floor, self._origin)
        self._probabilities = self._probabilities[keep - self._origin :]
        self._samples = self._samples[(keep - self._origin) * self._frame :]
        self._origin = keep
