"""Targets are read strictly, and what was not measured is neither kept nor missed."""

from dataclasses import replace

import pytest

from sonorant.bench.asking import Reply
from sonorant.bench.figures import figures
from sonorant.bench.loads import Kind, Outcome, Ran
from sonorant.bench.playback import Heard
from sonorant.bench.report import Load, Report
from sonorant.bench.targets import SHIPPED, Target, judge, read_target
from sonorant.errors import SettingsError


def load(
    clients: int | None, ttfa: float, *, refused: int = 0, underruns: int = 0, peak: int | None = None
) -> Load:
    heard = Heard(ttfa, ttfa, 4, 4 - underruns, underruns, 0.1 * underruns)
    outcomes = [Outcome(Kind.OK, 1.0, Reply(2.0, heard))] * 10 + [Outcome(Kind.REFUSED, 0.01)] * refused
    rate = None if clients else 5.0
    found = figures(Ran(outcomes, wall=5.0))
    return Load(clients, rate, None, found, 0.01, memory_peak=peak)


def verdicts(target: Target, *loads: Load) -> dict[str, tuple[float | None, bool | None]]:
    judged = judge(target, Report(None, loads))
    return {verdict.goal.figure: (verdict.value, verdict.kept) for verdict in judged}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_targets(name):
    goals = {goal.figure: (goal.sense, goal.bound) for goal in read_target(name).goals}
    assert goals == {
        "concurrent": ("at_least", 10),
        "ttfa_p95": ("below", {"assistant": 0.2, "default": 1.0}[name]),
        "breaks": ("below", 0.001),
        "mos": ("at_least", 4.0),
        "memory": ("at_most", 2e9),
        "device_memory": ("at_most", 8e9),
    }


def test_judged_where_enough_clients_were():
    """Not with the one client that had it good, nor with more than were asked for."""
    found = verdicts(
        read_target("assistant"), load(1, 0.05), load(16, 0.3, peak=10**9), load(64, 4.0, peak=3 * 10**9)
    )
    assert found["ttfa_p95"] == (pytest.approx(0.3), False)
    assert found["concurrent"] == (64, True)
    assert found["breaks"] == (0.0, True)
    assert found["memory"] == (3e9, False)


def test_what_was_not_measured_is_not_kept():
    found = verdicts(read_target("assistant"), load(16, 0.1))
    assert found["ttfa_p95"][1] is True
    for name in ("mos", "memory", "device_memory"):
        assert found[name] == (None, None)


def test_too_few_clients_were_tried():
    found = verdicts(read_target("assistant"), load(1, 0.1), load(4, 0.1), load(None, 0.1))
    assert found["ttfa_p95"] == found["concurrent"] == found["breaks"] == (None, None)


def test_clients_that_were_refused_are_not_served():
    found = verdicts(read_target("assistant"), load(1, 0.1), load(8, 0.1, refused=1))
    assert found["concurrent"] == (1, False)


def test_a_break_is_missed():
    assert verdicts(read_target("default"), load(10, 0.1, underruns=1))["breaks"] == (1.0, False)


def test_a_target_of_ones_own(tmp_path):
    (tmp_path / "mine.toml").write_text(
        "[goals]\nwhole_p50 = { at_most = 1 }\nrtfx = { above = 5.0 }\nfailures = { below = 0.1 }\n"
    )
    target = read_target(str(tmp_path / "mine.toml"))
    assert (target.name, target.clients) == ("mine", 1)
    found = verdicts(target, load(2, 0.1, refused=10))
    assert found == {"whole_p50": (1.0, True), "rtfx": (4.0, False), "failures": (0.5, False)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[goals", "Expected"),
        ("", r"needs one table, \[goals\]"),
        ("goals = 1", r"needs one table, \[goals\]"),
        ("name = 1\n[goals]\nmos = { at_least = 4 }", "nothing beside it"),
        ("[goals]\nttfa = { below = 1 }", "ttfa is no figure; known here: concurrent, memory"),
        ("[goals]\nmos = 4", "mos needs one bound"),
        ("[goals]\nmos = { over = 4 }", "mos needs one bound"),
        ("[goals]\nmos = { at_least = true }", "mos needs one bound"),
        ("[goals]\nmos = { at_least = 4, below = 5 }", "mos needs one bound"),
    ],
)
def test_a_wrong_target(tmp_path, text, why):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(SettingsError, match=why):
        read_target(str(tmp_path / "t.toml"))


def test_no_such_target():
    with pytest.raises(SettingsError, match="assistant, default"):
        read_target("asistant")


def test_growth_a_client():
    report = Report(100, (load(1, 0.1, peak=150), load(4, 0.1, peak=180), load(16, 0.1, peak=300)))
    assert (report.memory_a_request, report.memory_a_client) == (50, 10)
    assert replace(report, loads=report.loads[:1]).memory_a_client is None
    assert replace(report, loads=(load(1, 0.1), load(2, 0.1))).memory_a_client is None
    assert report.capacity == 2.0
