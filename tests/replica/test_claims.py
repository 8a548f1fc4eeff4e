"""When work is due, by a clock that the tests turn."""

import asyncio
from contextlib import aclosing

import pytest

from sonorant.replica.claims import BULK, FIRST_AUDIO, PATIENCE, RATIO, Claim, Playback, current, under
from sonorant.tasks import Terms, Tier


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_short_job_is_due_before_a_long_one_until_that_has_waited_long_enough(clock):
    long = Claim(clock=clock).due(3.0)
    clock.now += 1
    assert Claim(clock=clock).due(0.1) < long
    clock.now += 3.0 * RATIO
    assert Claim(clock=clock).due(0.1) > long


def test_what_a_job_has_had_puts_off_its_next_piece_but_not_for_ever(clock):
    first, other = Claim(clock=clock), Claim(clock=clock)
    first.charge(1.0)
    assert first.due(0.1) > other.due(0.1)
    first.charge(1000.0)
    assert first.due(0.1) == pytest.approx(clock.now + PATIENCE + 0.1 * RATIO)


def test_bulk_is_due_later_by_a_constant(clock):
    bulk = Claim(Terms(tier=Tier.BULK), clock)
    assert bulk.due(1.0) == pytest.approx(Claim(clock=clock).due(1.0) + BULK)
    clock.now += BULK + 1  # interactive work that comes now is due after it
    assert Claim(clock=clock).due(1.0) > bulk.due(1.0)


def test_the_first_text_is_due_when_it_is_wanted(clock):
    claim = Claim(Terms(within=0.5), clock)
    assert claim.due(10.0) == 100.5
    claim.delivered()
    assert claim.due(10.0) > 100.5


def test_audio_is_due_when_the_listener_has_heard_what_was_delivered(clock):
    playback = Playback(clock=clock)
    assert playback.due(0.1) == pytest.approx(100 + FIRST_AUDIO)
    clock.now = 100.1
    playback.delivered(2.0)  # heard from now on
    clock.now = 100.3
    assert playback.due(0.1) == pytest.approx(102.1)
    playback.delivered(0.0)  # a header is not audio
    playback.delivered(3.0)
    assert playback.due(0.1) == pytest.approx(105.1)


def test_the_time_in_which_audio_is_wanted_counts_for_the_first(clock):
    assert Playback(Terms(within=1.5), clock).due(0.1) == 101.5
    assert Playback(Terms(within=1.5, tier=Tier.BULK), clock).due(0.1) == Claim(
        Terms(tier=Tier.BULK), clock
    ).due(0.1)


def test_a_stream_that_has_underrun_gets_a_new_time_and_a_new_start_of_playback(clock):
    playback = Playback(clock=clock)
    playback.due(0.1)
    playback.delivered(1.0)
    assert playback.due(0.5) == 101.0
    clock.now = 103.0
    assert playback.due(0.5) == pytest.approx(103 + FIRST_AUDIO)  # behind what can still be in time
    clock.now = 104.0
    playback.delivered(1.0)
    assert playback.due(0.1) == 105.0  # two seconds of silence are not caught up with


def test_underruns_are_counted_once_each_and_foretold_where_the_cost_says_so(clock):
    playback = Playback(clock=clock)
    underruns = playback._underruns
    playback.due(5.0)
    clock.now += 5.0
    playback.delivered(1.0)
    assert (underruns.predicted, underruns.real) == (0, 0)  # a late first chunk interrupts nothing
    playback.due(0.1)
    playback.due(2.0)
    assert (underruns.predicted, underruns.real) == (1, 0)
    clock.now += 2.0
    playback.due(0.1)
    clock.now += 1.0
    playback.delivered(1.0)
    assert (underruns.predicted, underruns.real) == (1, 1)


def test_text_that_comes_late_is_no_underrun_of_ours(clock):
    playback = Playback(clock=clock)
    playback.due(0.1)
    playback.delivered(1.0)
    clock.now += 10  # the text's author thinks
    assert playback.due(0.1) == pytest.approx(clock.now + FIRST_AUDIO)
    clock.now += 0.1
    playback.delivered(1.0)
    assert playback._underruns.real == 0
    assert playback.due(0.1) == pytest.approx(clock.now + 1.0)


def test_what_was_spent_is_told_once(clock):
    claim = Claim(clock=clock)
    claim.charge(1.0)
    claim.charge(0.5)
    assert (claim.spent_since(), claim.spent_since(), claim.spent) == (1.5, 0.0, 1.5)


def test_a_claim_holds_while_its_items_are_computed_whoever_asks_for_them():
    async def items():
        for _ in range(3):
            await asyncio.sleep(0)
            yield current()

    async def main():
        claims = Claim(), Claim()
        async with aclosing(under(claims[0], items())) as one, aclosing(under(claims[1], items())) as two:
            for _ in range(3):
                found = await asyncio.gather(*(asyncio.create_task(anext(i)) for i in (one, two)))
                assert tuple(found) == claims
            assert current() is None

    asyncio.run(main())
