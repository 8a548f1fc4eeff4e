"""Speech packed into windows, and the times of a window in the recording."""

import asyncio

import numpy as np
import pytest

from sonorant.families.whisper.windows import LONGEST, Window, packed
from sonorant.tasks import SpeechSpan

RATE = 16_000


def span(start: float, end: float, probability: float = 1.0) -> SpeechSpan:
    samples = np.zeros(round((end - start) * RATE), np.float32)
    return SpeechSpan(round(start * RATE), round(end * RATE), probability, samples)


async def stream(items):
    for item in items:
        yield item


def pack(*spans: SpeechSpan, pause: float = np.inf) -> list[list[float]]:
    """Where the spans of each window begin, seconds."""

    async def main():
        return [[s.start / RATE for s in w.spans] async for w in packed(stream(spans), pause)]

    return asyncio.run(main())


def test_as_many_spans_as_fit_follow_one_another():
    assert pack() == []
    assert pack(span(0, 10), span(20, 30), span(50, 58), span(60, 61)) == [[0, 20, 50], [60]]
    assert pack(span(0, LONGEST + 0.4), span(30, 31)) == [[0], [30]]


def test_a_long_pause_ends_a_window_where_that_is_asked():
    spans = span(0, 1), span(1.5, 3), span(5.1, 6), span(7, 8)
    assert pack(*spans) == [[0, 1.5, 5.1, 7]]
    assert pack(*spans, pause=2) == [[0, 1.5], [5.1, 7]]


# 3 s of speech from 10 s on, and 5 s from 60 s on
WINDOW = Window((span(10, 13, 1.0), span(60, 65, 0.6)))


@pytest.mark.parametrize(
    ("heard", "recorded"),
    [
        ((0.5, 2.5), (10.5, 12.5)),
        ((3.5, 7.0), (60.5, 64.0)),
        ((2.0, 5.0), (12.0, 62.0)),  # a sentence with a pause in it
        ((2.9, 5.0), (60.0, 62.0)),  # it begins in the silence kept after the first span
        ((1.0, 3.2), (11.0, 13.0)),  # it ends in the silence kept before the second
        ((2.8, 3.1), (12.8, 13.0)),  # short: it is where its middle is
        ((2.95, 3.25), (60.0, 60.25)),
        ((7.0, 8.5), (64.0, 65.0)),  # the network's marks go beyond the sound
        ((8.2, 8.4), (65.0, 65.0)),
    ],
)
def test_times_are_those_of_the_recording(heard, recorded):
    assert WINDOW.interval(*heard) == pytest.approx(recorded)


def test_speech_is_as_probable_as_in_the_spans_that_are_meant():
    assert WINDOW.probability(0, 2) == pytest.approx(1.0)
    assert WINDOW.probability(4, 6) == pytest.approx(0.6)
    assert WINDOW.probability(0, 8) == pytest.approx((3 * 1.0 + 5 * 0.6) / 8)
