"""A load ends when it has shown enough, and earlier where it is beyond hope."""

import asyncio

import pytest

from sonorant.bench.asking import RefusedError, Reply
from sonorant.bench.loads import Kind, closed
from sonorant.tune import pace as paces
from sonorant.tune.pace import FEWEST, Pace, Paced


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(paces, "perf_counter", clock)
    return clock


def answering(clock, seconds: float, audio: float = 1.0):
    """Computes one request after the other, as slow engines do."""

    async def ask(number: int, due: float) -> Reply:
        clock.now += seconds
        await asyncio.sleep(0)
        return Reply(audio)

    return ask


def ran(pace: Pace, **bounds) -> int:
    load = asyncio.run(closed(pace.ask, pace.clients, Paced(**bounds, pace=pace)))
    return len(load.outcomes)


def test_a_fast_model_is_asked_for_the_usual_time_and_a_slow_one_for_enough(clock):
    assert ran(Pace(answering(clock, 0.1), 2, usual=4.0)) == pytest.approx(40, abs=3)
    assert ran(Pace(answering(clock, 2.0), 2, usual=4.0)) == FEWEST


def test_what_is_beyond_hope_is_given_up_by_its_first_answers(clock):
    slow = Pace(answering(clock, 2.0), 2, hopeless=2.0)
    assert ran(slow, requests=40) < 8
    assert slow.given_up
    near = Pace(answering(clock, 0.45), 2, hopeless=2.0)
    assert ran(near, requests=40) == 40
    assert not near.given_up


def test_a_load_that_admits_ends_with_the_first_refusal_for_all(clock):
    cancelled = []

    async def full(number: int, due: float) -> Reply:
        await asyncio.sleep(0)
        if number == 2:
            raise RefusedError(20.0)
        try:
            await asyncio.sleep(30)  # a slow model
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return Reply(1.0)

    pace = Pace(full, 3, usual=4.0, admitting=True)
    load = asyncio.run(closed(pace.ask, 3, Paced(hang_seconds=20.0, pace=pace)))
    assert {outcome.kind for outcome in load.outcomes} == {Kind.REFUSED}
    assert sorted(cancelled) == [0, 1]
    assert len(load.outcomes) == 3


def test_where_it_was_said_how_many_ask_a_refusal_is_a_figure(clock):
    async def full(number: int, due: float) -> Reply:
        if number % 2:
            raise RefusedError(0.001)
        return Reply(1.0)

    pace = Pace(full, 2)
    assert ran(pace, requests=10) == 10
    assert pace.answered == 5


def test_the_warm_up_does_not_count(clock):
    pace = Pace(answering(clock, 9.0), 1, hopeless=0.5)

    async def load() -> None:
        for number in range(6):
            await pace.ask(number, 0.0)
        pace.asked = answering(clock, 1.0)
        await closed(pace.ask, 1, Paced(requests=10, pace=pace))

    asyncio.run(load())
    assert pace.answered == 10
    assert not pace.given_up
