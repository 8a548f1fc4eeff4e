"""What a listener has of a stream: when there is audio, and whether the rest of it comes in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH_SECONDS = 0.1
"""of audio past the first sound: what a player needs to begin"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio as it reached the client."""

    at: float
    """seconds since the request was sent"""
    seconds: float
    """of audio in it"""


@dataclass(frozen=True, slots=True)
class Heard:
    """A stream as it would have been heard."""

    first_audio: float
    """seconds until the client held ENOUGH_SECONDS past the first sound; playback starts then"""
    ttfa: float
    """time to first audio: the same, or later where only a later start would never have run dry"""
    chunks: int
    in_time: int
    """how many of the chunks were there before the playback that started at `first_audio` needed them"""
    underruns: int
    """how often that playback ran dry"""
    dry_seconds: float
    """and how long it then was silent, altogether"""


def heard(chunks: Sequence[Chunk], onset: float) -> Heard:
    """Play `chunks` (in order, none empty) as a player does that starts at their very beginning.

    `onset` is where in the audio the first sound is, seconds: silence before it is not yet audio. An audio
    that ends sooner than ENOUGH_SECONDS past it is first held when all of it is there.
    """
    held = 0.0
    first = chunks[-1].at
    for chunk in chunks:
        held += chunk.seconds
        if held >= onset + ENOUGH_SECONDS:
            first = chunk.at
            break
    start = ttfa = first
    position = dry = 0.0
    underruns = 0
    for chunk in chunks:
        ttfa = max(ttfa, chunk.at - position)
        late = chunk.at - (start + position)
        if late > 0:
            underruns += 1
            dry += late
            start += late  # what follows is heard that much later, and so is due later
        position += chunk.seconds
    return Heard(first, ttfa, len(chunks), len(chunks) - underruns, underruns, dry)
