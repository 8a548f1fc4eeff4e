"""The bounds that users write."""

import pytest

from sonorant.bench.targets import Goal, Sense
from sonorant.errors import RequestError
from sonorant.tasks import Task
from sonorant.tune.slo import Slo, amount, parse, said


def test_bounds_are_read_with_their_units():
    slo = parse("ttfa_p95<200ms, memory <= 2GB,throughput>5x,throughput≥3/s,rtf<0.5,breaks<1%", Task.SPEECH)
    assert slo.goals == (
        Goal("ttfa_p95", Sense.BELOW, 0.2),
        Goal("memory", Sense.AT_MOST, 2e9),
        Goal("throughput", Sense.ABOVE, 5.0),
        Goal("requests", Sense.AT_LEAST, 3.0),
        Goal("rtf", Sense.BELOW, 0.5),
        Goal("breaks", Sense.BELOW, 0.01),
    )
    assert parse("memory<1GiB", Task.SPEECH).goals[0].bound == 2**30
    assert parse("", Task.SPEECH) == Slo()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("speed<3", "ttfa_p50 … ttfa_p99, latency_p50"),
        ("ttfa_p95<200", "needs a unit"),
        ("ttfa_p95<200MB", "MB is no unit of ttfa_p95. Write one of ms, s"),
        ("ttfa_p95>200ms", "better when it is smaller"),
        ("throughput<5", "better when it is larger"),
        ("ttfa_p95=200ms", "FIGURE<NUMBER"),
        ("ttfa_p100<1s", "not a figure"),
        ("clients>=4x", "Write a number alone"),
        ("memory<2GB;rtf<1", "makes no sense"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_is_known(text, why):
    with pytest.raises(RequestError, match=why):
        parse(text, Task.SPEECH)


def test_figures_depend_on_the_task():
    assert parse("latency_p90<1s", Task.TRANSCRIPTION).goals
    with pytest.raises(RequestError, match="is not a figure of speech-to-text"):
        parse("ttfa_p95<1s", Task.TRANSCRIPTION)


def test_clients_are_the_load_that_all_is_judged_under():
    assert parse("clients>=6,ttfa_p95<1s", Task.SPEECH).clients == 6
    assert parse("clients>6", Task.SPEECH).clients == 7
    assert parse("ttfa_p95<1s", Task.SPEECH).clients == 0


def test_what_is_missed_says_by_how_much_the_furthest_first():
    slo = parse("ttfa_p95<200ms,memory<1GB,energy<1J", Task.SPEECH)
    figures = {"ttfa_p95": 0.25, "memory": 2e9, "answered": 1.0, "energy": None}
    missed = slo.missed(figures.__getitem__)
    assert [(one.goal.figure, round(one.by, 3)) for one in missed] == [("memory", 1.0), ("ttfa_p95", 0.25)]
    assert [goal.figure for goal in slo.unmeasured(figures.__getitem__)] == ["energy"]
    # who is refused hears nothing: it counts, although nobody has asked for it
    assert [one.goal.figure for one in Slo().missed({"answered": 0.9}.__getitem__)] == ["answered"]


def test_goals_and_amounts_are_said_with_units():
    assert said(Goal("ttfa_p95", Sense.BELOW, 0.2)) == "ttfa_p95 < 200 ms"
    assert amount("memory", 1.5e9) == "1,500 MB"
    assert amount("throughput", 12.34) == "12.3 x"
