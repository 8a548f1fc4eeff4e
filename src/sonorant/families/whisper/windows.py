"""Stretches of speech packed into windows that the network hears at once, and the way back in time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sonorant.families.whisper.layout import SAMPLE_RATE
from sonorant.tasks import SpeechSpan

LONGEST = 28.0
"""seconds of speech in a window; the network hears 30 s, and marks times poorly in the last of them"""
SLACK = 0.3
"""seconds of silence that a span keeps at either end, with what the network's marks are off"""


@dataclass(frozen=True)
class Window:
    """Spans that are heard as if they followed one another, without the silence between them."""

    spans: tuple[SpeechSpan, ...]

    @cached_property
    def samples(self) -> NDArray[np.float32]:
        """float32 [n], in [-1, 1]"""
        return np.concatenate([span.samples for span in self.spans])

    @cached_property
    def _ends(self) -> list[float]:
        """where in the window each span ends, seconds"""
        return list(accumulate(len(span.samples) / SAMPLE_RATE for span in self.spans))

    @property
    def joints(self) -> list[float]:
        """where the silence between two spans is left out, seconds of the window"""
        return self._ends[:-1]

    def interval(self, start: float, end: float) -> tuple[float, float]:
        """Seconds of the window → seconds of the recording.

        What begins in the silence kept after a span begins with the next one, and what ends in the
        silence kept before a span has ended with the one before: a pause that was left out is not part
        of what surrounds it.
        """
        first, last = self._reach(start, end)
        begin, finish = self._recorded(first, start), self._recorded(last, end)
        return begin, max(begin, finish)

    def probability(self, start: float, end: float) -> float:
        """Mean speech probability of the spans that `start` to `end` (seconds of the window) touches."""
        first, last = self._reach(start, end)
        touched = self.spans[first : last + 1]
        weights = [len(span.samples) for span in touched]
        return float(np.average([span.probability for span in touched], weights=weights))

    def _reach(self, start: float, end: float) -> tuple[int, int]:
        """The first and the last span that are meant."""
        final = len(self.spans) - 1
        if end - start <= 2 * SLACK:
            middle = min(bisect_right(self._ends, (start + end) / 2), final)
            return middle, middle
        first = min(bisect_right(self._ends, start + SLACK), final)
        return first, max(first, min(bisect_left(self._ends, end - SLACK), final))

    def _recorded(self, index: int, seconds: float) -> float:
        """`seconds` of the window in the recording, within the span of that index."""
        span, begin = self.spans[index], self._ends[index - 1] if index else 0.0
        return span.start / SAMPLE_RATE + min(max(0.0, seconds - begin), self._ends[index] - begin)


async def packed(spans: AsyncIterator[SpeechSpan], pause: float) -> AsyncGenerator[Window, None]:
    """As many spans a window as fit, but none that so many seconds of silence lie between."""
    gathered: list[SpeechSpan] = []
    async for span in spans:
        full = sum(len(s.samples) for s in (*gathered, span)) > LONGEST * SAMPLE_RATE
        if gathered and (full or span.start - gathered[-1].end > pause * SAMPLE_RATE):
            yield Window(tuple(gathered))
            gathered = []
        gathered.append(span)
    if gathered:
        yield Window(tuple(gathered))
