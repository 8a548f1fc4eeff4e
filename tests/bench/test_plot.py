"""The plot is an SVG whose lines go where the figures are."""

from math import log
from xml.etree import ElementTree

import pytest

from sonorant.bench.asking import Reply
from sonorant.bench.figures import figures
from sonorant.bench.loads import Kind, Outcome, Ran
from sonorant.bench.playback import Heard
from sonorant.bench.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, svg
from sonorant.bench.report import Load, Report

SPACE = "{http://www.w3.org/2000/svg}"


def load(clients: int | None, *ttfa: float, spoken: bool = True) -> Load:
    outcomes = [Outcome(Kind.OK, t, Reply(2.0, Heard(t, t, 1, 1, 0, 0.0) if spoken else None)) for t in ttfa]
    found = figures(Ran(outcomes, wall=5.0))
    return Load(clients, None if clients else 3.0, None, found, 0.01)


def drawn(*loads: Load, bound: float | None = None) -> tuple[list[list[list[float]]], list[str]]:
    """Points of every line, and every text."""
    root = ElementTree.fromstring(svg(Report(None, loads), bound))
    lines = [
        [[float(n) for n in point.split(",")] for point in line.get("points").split()]
        for line in root.iter(f"{SPACE}polyline")
    ]
    return lines, [text.text for text in root.iter(f"{SPACE}text")]


def test_lines_and_labels():
    lines, texts = drawn(load(1, 0.1, 0.2), load(4, 0.2, 0.4), load(None, 0.3))
    assert [len(line) for line in lines] == [101, 101, 101, 2, 2, 2]
    for word in ("1 client", "4 clients", "3 requests/s", "p50", "p95", "p99", "ms", "clients", "100", "200"):
        assert word in texts
    assert "time to first audio, by percentile" in texts
    for line in lines:
        for x, y in line:
            assert LEFT <= x <= WIDTH - RIGHT
            assert TOP <= y <= HEIGHT - BOTTOM
    # a curve climbs from its least (100 ms) to its most (200); the axis is logarithmic, from 90 to 440
    high = HEIGHT - TOP - BOTTOM
    assert lines[0][0] == pytest.approx([LEFT, TOP + high * log(440 / 100) / log(440 / 90)], abs=0.1)
    assert lines[0][-1] == pytest.approx(
        [WIDTH - RIGHT, TOP + high * log(440 / 200) / log(440 / 90)], abs=0.1
    )


def test_the_bound_of_a_target_is_a_level_line():
    lines, _ = drawn(load(1, 0.1), bound=0.2)
    level = lines[0]
    assert level[0][1] == level[1][1] < min(y for line in lines[1:2] for _, y in line)


def test_transcripts_have_no_first_audio():
    lines, texts = drawn(load(1, 0.1, spoken=False), load(2, 0.1, spoken=False))
    assert "time of the whole, by percentile" in texts
    assert len(lines) == 5


def test_nothing_to_draw_is_still_an_svg():
    assert drawn(load(1)) == ([], [])
