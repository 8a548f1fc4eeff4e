"""What was measured is read again, and never under other circumstances."""

import json

import pytest

from sonorant.errors import RequestError
from sonorant.tune.journal import journal
from sonorant.tune.rows import Trial


def keep(folder, around, *trials, fresh=False):
    with journal(folder, "voice", around, fresh=fresh) as kept:
        for trial in trials:
            kept.add(trial)
        return kept


def test_trials_are_read_again(tmp_path, figures, candidate):
    good = Trial(candidate(4, 1, 0.0), 4, 0, figures(10.5), "", 8.5)
    failed = Trial(candidate(), 4, 0, None, "died", 3.0)
    file = keep(tmp_path, {"machine": "this"}, good, failed).file
    again = keep(tmp_path, {"machine": "this"})
    assert again.recall(candidate(4, 1, 0.0), 4, 0) == good
    assert again.recall(candidate(), 4, 0) == failed
    assert again.recall(candidate(), 4, 1) is None
    assert again.recall(candidate(), 8, 0) is None, "another load has other figures"
    assert json.loads(file.read_text().splitlines()[0]) == {"machine": "this"}


@pytest.mark.parametrize("other", [{"machine": "that"}, {"machine": "this", "artefacts": {"net": "1"}}])
def test_other_circumstances_have_another_journal(tmp_path, figures, candidate, other):
    keep(tmp_path, {"machine": "this"}, Trial(candidate(), 4, 0, figures(10)))
    assert len(keep(tmp_path, other)) == 0
    assert len(keep(tmp_path, {"machine": "this"})) == 1


def test_damaged_lines_are_measured_again(tmp_path, figures, candidate, caplog):
    trials = [Trial(candidate(), 4, run, figures(10)) for run in range(3)]
    file = keep(tmp_path, {}, *trials).file
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"candidate": 7}\n'
    file.write_bytes(
        b"".join(lines)[:-20]
    )  # and the last was being written when the machine was switched off
    again = keep(tmp_path, {}, Trial(candidate(1), 4, 0, figures(11)))
    assert again.recall(candidate(), 4, 0) == trials[0]
    assert again.recall(candidate(), 4, 1) is None
    assert again.recall(candidate(), 4, 2) is None
    assert "2 damaged lines" in caplog.text
    assert keep(tmp_path, {}).recall(candidate(1), 4, 0) is not None


def test_fresh_forgets(tmp_path, figures, candidate):
    keep(tmp_path, {}, Trial(candidate(), 4, 0, figures(10)))
    assert len(keep(tmp_path, {}, fresh=True)) == 0


def test_one_at_a_time(tmp_path):
    with (
        journal(tmp_path, "voice", {}, fresh=False),
        pytest.raises(RequestError, match="is being tuned already"),
        journal(tmp_path, "voice", {}, fresh=False),
    ):
        pass
