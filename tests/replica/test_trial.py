"""What requests cost, from what they took."""

import asyncio

import pytest

from sonorant.replica.claims import current
from sonorant.replica.trial import (
    LONG,
    QUICK,
    SHORT,
    SPOKEN_SECONDS,
    RequestCost,
    try_speech,
    try_transcription,
)
from sonorant.tasks import AudioChunk, Described, SpeechRequest, Task, TranscriptEnd, TranscriptionRequest


def known(*points: tuple[float, float]) -> RequestCost:
    cost = RequestCost()
    for units, seconds in points:
        cost.observe(units, seconds)
    return cost


def test_two_lengths_give_the_line():
    cost = known((10, 0.3), (110, 1.3)).cost
    assert (cost.fixed, cost.each) == (pytest.approx(0.2), pytest.approx(0.01))


@pytest.mark.parametrize(
    ("points", "at", "expected"),
    [
        ([(10, 1.0)], 10, 1.0),
        ([(10, 1.0), (10, 1.0)], 20, 1.5),  # half of it does not depend on the length
        ([(10, 0.1), (20, 0.4)], 15, 0.25),  # below nothing it is not
        ([(10, 1.0), (20, 0.5)], 15, 0.75),  # and not cheaper for more
        ([(0, 1.0)], 5, 0.5),
    ],
)
def test_what_the_requests_do_not_tell_stays_within_reason(points, at, expected):
    cost = known(*points).cost
    assert cost.fixed >= 0
    assert cost.each >= 0
    assert cost.of(at) == pytest.approx(expected, rel=0.03)


def test_nothing_is_known_before_the_first():
    assert RequestCost().cost is None


def test_what_comes_later_replaces_what_was():
    cost = known((10, 0.3), (110, 1.3), *[(10, 0.6), (110, 2.6)] * 60).cost
    assert cost.of(60) == pytest.approx(1.6, rel=0.05)


class Model:
    """Spends device-seconds in proportion to what it is given."""

    def __init__(self, each: float) -> None:
        self.each, self.asked = each, []

    def describe(self) -> Described:
        return Described(name="m", task=Task.SPEECH, languages=("en",), sample_rate=16_000)

    async def synthesize(self, request, text):
        whole = "".join([piece async for piece in text])
        self.asked.append(whole)
        current().charge(self.each * len(whole))
        yield AudioChunk(b"\0" * 8, 8)

    async def recognize(self, request, audio):
        seconds = sum([chunk.seconds async for chunk in audio])
        self.asked.append(seconds)
        current().charge(self.each * seconds)
        yield TranscriptEnd(seconds)


def test_a_quick_model_is_tried_with_two_texts_and_a_slow_one_with_one():
    quick, slow = Model(QUICK / 100), Model(QUICK)
    request = SpeechRequest(model="m")
    cost = asyncio.run(try_speech(quick, request, lambda: 0.0)).cost
    assert quick.asked == [SHORT, SHORT, LONG]
    assert cost.each == pytest.approx(quick.each)
    asyncio.run(try_speech(slow, request, lambda: 0.0))
    assert slow.asked == [SHORT, SHORT]


def test_a_recogniser_is_tried_with_sound():
    model = Model(0.1)
    cost = asyncio.run(try_transcription(model, TranscriptionRequest(model="m"), lambda: 0.0)).cost
    assert model.asked == [*SPOKEN_SECONDS]
    assert cost.each == pytest.approx(0.1)
