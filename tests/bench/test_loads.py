"""Closed and open loops over requests that do what a test says."""

import asyncio
import random
from itertools import pairwise
from time import perf_counter

import pytest

from sonorant.bench import loads
from sonorant.bench.asking import FailedError, RefusedError, Reply
from sonorant.bench.figures import Percentiles, figures
from sonorant.bench.http import BrokenOffError
from sonorant.bench.loads import Bounds, Kind, Outcome, Ran, closed, open_loop
from sonorant.bench.playback import Heard
from sonorant.errors import EngineError


class Asked:
    """Remembers what it was asked, how many at once, and follows a function of the number."""

    def __init__(self, follow=None) -> None:
        self.numbers, self.dues = [], []
        self.now = self.most = 0
        self.follow = follow

    async def __call__(self, number: int, due: float) -> Reply:
        self.numbers.append(number)
        self.dues.append(due)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.001)
            if self.follow:
                await self.follow(number)
            return Reply(1.0)
        finally:
            self.now -= 1


def test_a_closed_loop_keeps_as_many_requests_open_as_it_has_clients():
    asked = Asked()
    ran = asyncio.run(closed(asked, 4, Bounds(requests=50)))
    assert asked.most == 4
    assert asked.numbers == list(range(50))
    assert [outcome.kind for outcome in ran.outcomes] == [Kind.OK] * 50


def test_a_closed_loop_ends_by_time():
    ran = asyncio.run(closed(Asked(), 2, Bounds(seconds=0.2)))
    assert ran.outcomes
    assert ran.wall >= 0.2
    assert 0 < ran.cpu < ran.wall


def test_what_becomes_of_requests():
    async def follow(number: int) -> None:
        match number:
            case 0:
                raise RefusedError(0.01)
            case 1:
                raise FailedError("an empty transcript")
            case 2:
                raise BrokenOffError("the connection ended within the answer")
            case 3:
                raise EngineError("no")
            case 4:
                await asyncio.sleep(600)

    ran = asyncio.run(closed(Asked(follow), 1, Bounds(requests=6, hang_seconds=0.3)))
    kinds = [outcome.kind for outcome in ran.outcomes]
    assert kinds == [Kind.REFUSED, Kind.FAILED, Kind.FAILED, Kind.FAILED, Kind.HUNG, Kind.OK]
    assert ran.outcomes[0].retry_after == 0.01
    assert ran.outcomes[4].seconds >= 0.3
    reasons = [outcome.reason for outcome in ran.outcomes[1:4]]
    assert reasons == ["an empty transcript", "the connection ended within the answer", "engine_failed"]


def test_a_client_that_was_refused_waits_as_long_as_it_was_told():
    async def follow(number: int) -> None:
        if number == 0:
            raise RefusedError(0.25)

    asked = Asked(follow)
    asyncio.run(closed(asked, 1, Bounds(requests=2)))
    assert asked.dues[1] - asked.dues[0] >= 0.25


def test_a_request_that_cannot_even_be_cancelled_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(loads, "CLEANING_SECONDS", 0.1)

    async def main() -> Ran:
        release = asyncio.Event()

        async def stubborn(number: int) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        ran = await closed(Asked(stubborn), 1, Bounds(requests=1, hang_seconds=0.1))
        release.set()
        await asyncio.sleep(0.01)
        return ran

    began = perf_counter()
    assert asyncio.run(main()).outcomes[0].kind is Kind.HUNG
    assert perf_counter() - began < 10


def test_an_open_loop_asks_by_chance_and_waits_for_nobody():
    """The times at which requests are due are those of the seed, though the first one never ends."""

    async def follow(number: int) -> None:
        if number == 0:
            await asyncio.sleep(600)

    asked = Asked(follow)
    ran = asyncio.run(open_loop(asked, 100, Bounds(requests=20, hang_seconds=1), seed=7))
    chance = random.Random(7)
    gaps = [chance.expovariate(100) for _ in range(20)]
    assert [b - a for a, b in pairwise(asked.dues)] == pytest.approx(gaps[1:])
    assert sorted(outcome.kind for outcome in ran.outcomes) == [Kind.HUNG] + [Kind.OK] * 19
    assert len(ran.late) == 20
    assert min(ran.late) >= 0


def test_an_open_loop_ends_by_time():
    asked = Asked()
    asyncio.run(open_loop(asked, 50, Bounds(seconds=0.5), seed=1))
    chance, due, expected = random.Random(1), 0.0, 0
    while (due := due + chance.expovariate(50)) <= 0.5:
        expected += 1
    assert len(asked.numbers) == expected > 10


def test_an_open_loop_has_a_limit(monkeypatch):
    monkeypatch.setattr(loads, "MOST_AT_ONCE", 3)

    async def follow(number: int) -> None:
        await asyncio.sleep(600)

    asked = Asked(follow)
    ran = asyncio.run(open_loop(asked, 1000, Bounds(requests=10, hang_seconds=1)))
    assert asked.most == 3
    assert figures(ran).reasons == {"not sent: 3 requests were open already": 7}
    assert figures(ran).hung == 3


def spoken(seconds: float, audio: float, heard: Heard) -> Outcome:
    return Outcome(Kind.OK, seconds, Reply(audio, heard))


def test_figures_of_outcomes():
    outcomes = [
        spoken(1.0, 4.0, Heard(0.2, 0.2, 4, 4, 0, 0.0)),
        spoken(2.0, 2.0, Heard(0.4, 0.9, 6, 4, 2, 0.5)),
        Outcome(Kind.REFUSED, 0.01, retry_after=1.0),
        Outcome(Kind.REFUSED, 0.03, retry_after=4.0),
        Outcome(Kind.REFUSED, 0.02),
        Outcome(Kind.FAILED, 0.1, reason="silence"),
        Outcome(Kind.HUNG, 60.0),
    ]
    found = figures(Ran(outcomes, wall=3.0))
    assert (found.requests, found.ok, found.refused, found.failed, found.hung) == (7, 2, 3, 1, 1)
    assert found.reasons == {"silence": 1}
    assert (found.throughput, found.rtfx) == (2 / 3, 2.0)
    assert (found.whole.p50, found.whole.most) == (1.5, 2.0)
    assert (found.rtf.curve[0], found.rtf.p50, found.rtf.most) == (0.25, 0.625, 1.0)
    assert (found.ttfa.most, found.first_audio.most) == (0.9, 0.4)
    assert (found.in_time, found.underruns, found.dry_seconds, found.breaks) == (0.8, 2, 0.5, 0.5)
    assert found.refusal.p50 == 0.02
    assert found.retry_after == (1.0, 4.0)


def test_what_was_not_measured_is_none():
    found = figures(Ran([Outcome(Kind.OK, 1.0, Reply(2.0)), Outcome(Kind.OK, 3.0, Reply(2.0))], wall=4.0))
    assert (found.ttfa, found.in_time, found.underruns, found.breaks) == (None, None, None, None)
    assert (found.refusal, found.retry_after, found.late) == (None, None, None)
    assert found.rtfx == 1.0
    assert figures(Ran([Outcome(Kind.HUNG, 60.0)], wall=60.0)).whole is None


def test_percentiles():
    found = Percentiles.of([float(value) for value in range(101)])
    assert (found.p50, found.p95, found.p99, found.most) == (50, 95, 99, 100)
    assert Percentiles.of([]) is None
