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
    def made(slo: str = "", untried=()) -> Verdict:
        points = {
            candidate(): (10.0, 0.2, 300_000_000),
            candidate(4): (20.0, 0.4, 600_000_000),
            candidate(1): (5.0, 0.3, 500_000_000),
        }
        rows = tuple(
            Row(one, tuple(Trial(one, 4, run, figures(*of)) for run in range(3)))
            for one, of in points.items()
        )
        goals = parse(slo, Task.SPEECH)
        best = chosen(rows, goals)
        return Verdict(
            look=LOOK,
            slo=goals,
            clients=4,
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
