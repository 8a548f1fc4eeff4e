"""Configurations beside each other: the front, what is chosen, what cannot be told apart."""

from sonorant.tasks import Task
from sonorant.tune.pareto import axes, front
from sonorant.tune.rows import Row, Trial, chosen, nearest
from sonorant.tune.slo import Slo, parse
from sonorant.tune.space import Candidate


def row(candidate: Candidate, *measured, fault: str = "") -> Row:
    trials = [Trial(candidate, 4, run, one) for run, one in enumerate(measured)]
    return Row(candidate, (*trials, *([Trial(candidate, 4, len(trials), None, fault)] if fault else [])))


def test_the_front_holds_what_is_nowhere_beaten(figures, candidate):
    fast = row(candidate(4), figures(20, ttfa=0.3, memory=900))
    small = row(candidate(1), figures(10, ttfa=0.2, memory=300))
    worse = row(candidate(3), figures(9, ttfa=0.2, memory=300))
    soon = row(candidate(5), figures(8, ttfa=0.1, memory=800))
    broken = row(candidate(6), figures(99, ttfa=0.01, memory=1), fault="died")
    assert front([fast, worse, small, broken, soon], axes(Task.SPEECH)) == [fast, small, soon]
    assert axes(Task.TRANSCRIPTION)[1] == "latency_p95"


def test_equals_are_all_on_the_front(figures, candidate):
    rows = [row(candidate(n), figures(10)) for n in (1, 3)]
    assert front(rows, axes(Task.SPEECH)) == rows


def test_of_those_that_cannot_be_told_apart_the_simplest_is_chosen(figures, candidate):
    base = row(candidate(), *map(figures, (10.0, 11.0, 12.0)))
    other = row(candidate(4, 1), *map(figures, (11.5, 12.5, 13.0)))
    assert chosen([other, base], Slo()) is base
    better = row(candidate(4, 1), *map(figures, (12.5, 13.5, 14.0)))
    assert chosen([better, base], Slo()) is better


def test_what_was_measured_once_is_no_equal(figures, candidate):
    once = row(candidate(), figures(12.0))
    best = row(candidate(4), *map(figures, (11.0, 12.5, 13.0)))
    assert chosen([once, best], Slo()) is best


def test_two_trials_are_enough_to_be_an_equal_of_three(figures, candidate):
    base = row(candidate(), *map(figures, (11.3, 11.3)))
    assert chosen([row(candidate(4), *map(figures, (8.2, 12.5, 14.0))), base], Slo()) is base


def test_one_trial_each_tells_only_what_is_far_apart(figures, candidate):
    base = row(candidate(), figures(10.0))
    assert chosen([base, row(candidate(4), figures(11.5))], Slo()) is base
    far = row(candidate(4), figures(14.0))
    assert chosen([base, far], Slo()) is far


def test_one_failure_of_three_is_not_served(figures, candidate):
    assert chosen([row(candidate(), figures(10), figures(11), fault="died")], Slo()) is None


def test_the_nearest_misses_least(figures, candidate):
    slo = parse("ttfa_p95<100ms,memory<400MB", Task.SPEECH)
    slow = row(candidate(1), figures(10, ttfa=0.12, memory=300_000_000))
    large = row(candidate(4), figures(90, ttfa=0.05, memory=800_000_000))
    assert chosen([slow, large], slo) is None
    assert nearest([large, slow], slo) is slow


def test_medians_and_spreads(figures, candidate):
    one = row(candidate(), *map(figures, (9.0, 10.0, 12.0)))
    assert one.value("throughput") == 10.0
    assert one.spread("throughput") == 0.3
    assert row(candidate(), figures(9.0)).spread("throughput") is None
