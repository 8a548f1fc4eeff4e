"""Points in the terminal and in an SVG."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from sonorant.tasks import Task
from sonorant.tune.look import Look
from sonorant.tune.output import as_json, conclusions
from sonorant.tune.pareto import axes, front
from sonorant.tune.plot import WIDE, lines, svg
from sonorant.tune.rows import Row, Trial, chosen, nearest
from sonorant.tune.session import Verdict
from sonorant.tune.slo import parse

LOOK = Look("voice", Task.SPEECH, ("en",), (), batched=False, slots=2, identity="", artefacts={})


@pytest.fixture
def verdict(figures, candidate):
    def made(slo: str = "", untried=(), refused=0, answered=1.0) -> Verdict:
        points = {
            candidate(): (10.0, 0.2, 300_000_000),
            candidate(4): (20.0, 0.4, 600_000_000),
            candidate(1): (5.0, 0.3, 500_000_000),
        }
        rows = tuple(
            Row(one, tuple(Trial(one, 4, run, figures(*of, answered=answered)) for run in range(3)))
            for one, of in points.items()
        )
        goals = parse(slo, Task.SPEECH)
        best = chosen(rows, goals)
        return Verdict(
            look=LOOK,
            slo=goals,
            clients=4,
            refused=refused,
            rows=rows,
            front=tuple(front(rows, axes(Task.SPEECH))),
            chosen=best,
            nearest=None if best else nearest(rows, goals),
            served={best.candidate: 6} if best else {},
            untried=untried,
            interrupted=False,
            measured=9,
            journal=Path("journal"),
        )

    return made


def test_the_best_is_to_the_right_and_the_soonest_below(verdict):
    drawn = lines(verdict())
    assert drawn[0].startswith("400 ms")
    assert drawn[0].rstrip().endswith("★")
    soonest = next(line for line in drawn if line.startswith("200 ms"))
    assert "○" in soonest
    assert drawn[-1].rstrip().endswith("20 x")
    assert max(map(len, drawn)) <= WIDE + 10


def test_the_svg_has_a_circle_for_each_configuration_and_the_bound(verdict):
    root = ElementTree.fromstring(svg(verdict("ttfa_p95<350ms")))
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(root.iter(f"{space}circle"))) == 2 * 3  # against first audio, and against memory
    assert len(list(root.iter(f"{space}polyline"))) == 1  # the bound
    assert "first audio, p95, with 4 clients" in [text.text for text in root.iter(f"{space}text")]


def test_conclusions_say_what_is_gained_and_what_was_left_out(verdict):
    said = "\n".join(conclusions(verdict(untried=(("window", "window ms 0"),)), str))
    assert (
        "Chosen with 4 clients at once: streams 4 (throughput 20 x, ttfa_p95 400 ms, memory 600 MB)" in said
    )
    assert "2.00 times the throughput" in said
    assert "It serves 6 at once" in said
    assert "Not tried, for want of time: window ms 0." in said


def test_what_is_missed_is_told_with_the_nearest(verdict):
    found = verdict("ttfa_p95<100ms")
    said = "\n".join(conclusions(found, str))
    assert "Nothing keeps the bounds with 4 clients" in said
    assert "Nearest: as it is: ttfa_p95 is 200 ms, which misses ttfa_p95 < 100 ms by 100%" in said
    assert '"chosen": null' in as_json(found)


def test_where_no_bounds_were_given_none_are_said_to_be_missed(verdict):
    said = "\n".join(conclusions(verdict(answered=0.5), str))
    assert "bounds" not in said
    assert "No settings answer everybody with 4 clients at once" in said
    assert "only 50% of the requests were answered (20 × 429)" in said
    assert "name fewer with --clients" in said


def test_clients_that_were_too_many_are_told(verdict):
    said = "\n".join(conclusions(verdict(refused=8), str))
    assert "do not admit 8 clients at once. With 4 at once all was measured." in said
