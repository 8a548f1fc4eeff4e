"""What a request will take and bring: predicted from its size, corrected by what earlier ones took."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sonorant.tasks import Cost, Text

CHARACTER_SECONDS = 0.07
"""of audio, until it is known better: English at 14 characters a second"""
UNKNOWN_CHARACTERS = 300
"""of a text that comes as a stream"""
FIRST_CHARACTERS = 80
"""of its first sentence"""
STRETCH_SECONDS = 10.0
"""of a recording that is heard in one go"""
LEARNING = 0.15
"""how much of a difference one request corrects"""
FARTHEST = 3.0
"""times the expected; what is farther off counts as this far, so that one odd request moves little"""

_SENTENCE = re.compile(r".{12,}?[.!?。！？\n]", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a request takes and brings."""

    work: float = 0.0
    """device-seconds; 0 = not known"""
    first: float = 0.0
    """those before its first audio or text"""
    seconds: float = 0.0
    """of audio, spoken or heard"""


def size_of_text(text: str | Text, speed: float, cost: Cost | None) -> Size:
    """Of a text to be spoken; each character is a unit of its cost. A stream is of a usual size."""
    if isinstance(text, tuple):
        text = "".join(utterance.text for utterance in text)
    if isinstance(text, str):
        sentence = _SENTENCE.match(text)
        every, first = len(text), sentence.end() if sentence else len(text)
    else:
        every, first = UNKNOWN_CHARACTERS, FIRST_CHARACTERS
    seconds = every * CHARACTER_SECONDS / speed
    if cost is None:
        return Size(seconds=seconds)
    return Size(work=cost.of(every / speed), first=cost.of(first / speed), seconds=seconds)


def size_of_recording(seconds: float, cost: Cost | None) -> Size:
    """Of a recording to be written down; each second is a unit of its cost."""
    if cost is None:
        return Size(seconds=seconds)
    return Size(work=cost.of(seconds), first=cost.of(min(seconds, STRETCH_SECONDS)), seconds=seconds)


@dataclass(slots=True)
class Ratio:
    """What was measured / what was predicted: a running geometric mean that outliers cannot pull far."""

    value: float = 1.0

    def learn(self, measured: float, predicted: float) -> None:
        if measured > 0 and predicted > 0:
            off = measured / (predicted * self.value)
            self.value *= min(FARTHEST, max(1 / FARTHEST, off)) ** LEARNING


@dataclass(slots=True)
class Estimate:
    """How far one model, in one language, is from what is predicted of it."""

    work: Ratio = field(default_factory=Ratio)
    first: Ratio = field(default_factory=Ratio)
    seconds: Ratio = field(default_factory=Ratio)

    def of(self, size: Size) -> Size:
        """The same request as it will probably be."""
        return Size(
            work=size.work * self.work.value,
            first=min(size.work * self.work.value, size.first * self.first.value),
            seconds=size.seconds * self.seconds.value,
        )
