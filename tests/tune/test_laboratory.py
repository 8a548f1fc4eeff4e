"""How many clients ask, and for how long: of a model that is served by a fake child."""

import pytest

from sonorant.settings import Settings
from sonorant.tasks import Task
from sonorant.tune import laboratory as laboratories
from sonorant.tune.journal import journal
from sonorant.tune.laboratory import LOAD_SECONDS, Laboratory
from sonorant.tune.load import Load
from sonorant.tune.space import Candidate


@pytest.fixture
def child(monkeypatch, figures):
    """Takes two at once. What it was told is kept."""
    told = []

    def confined(target, arguments, *, title, seconds):
        import msgspec

        told.append({**arguments, "bound": seconds})
        found = []
        for clients in arguments["clients"]:
            found.append(figures(10.0, answered=1.0 if clients <= 2 else 0.5, clients=clients))
            if not arguments["admitting"] or clients <= 2:
                break
        return msgspec.to_builtins(found)

    monkeypatch.setattr(laboratories, "confined", confined)
    return told


def made(kept, seconds=600.0, **more) -> Laboratory:
    return Laboratory("voice", Settings(), Load(Task.SPEECH, "voice"), 8, kept, seconds, **more)


def test_as_many_clients_ask_as_are_let_in_where_nobody_said_how_many(tmp_path, child):
    seen = []
    with journal(tmp_path, "voice", {}, fresh=False) as kept:
        laboratory = made(kept, fewer=True, told=seen.append)
        trial = laboratory.measure(Candidate(), 0)
        assert (trial.clients, trial.measured.answered) == (2, 1.0)
        assert seen == [trial], "what was refused shows no figures"
        laboratory.measure(Candidate(((("lanes", "streams"), 4),)), 0)
    assert [one["clients"] for one in child] == [[8, 4, 2, 1], [2]]
    with journal(tmp_path, "voice", {}, fresh=False) as kept:
        again = made(kept, fewer=True)
        assert again.recall(Candidate(), 0) == trial
        assert again.clients == 2
        # what was ended by the first refusal is no trial of so many clients
        assert made(kept).recall(Candidate(), 0) is None
    assert len(child) == 2, "nothing was measured again"


def test_where_it_was_said_so_many_ask(tmp_path, child):
    with journal(tmp_path, "voice", {}, fresh=False) as kept:
        laboratory = made(kept)
        assert laboratory.measure(Candidate(), 0).measured.answered == 0.5
        assert laboratory.clients == 8


def test_a_load_takes_its_share_of_the_time(tmp_path, child):
    with journal(tmp_path, "voice", {}, fresh=False) as kept:
        made(kept, 600.0).measure(Candidate(), 0)
        made(kept, 12.0).measure(Candidate(), 1)
    assert child[0]["usual_seconds"] == LOAD_SECONDS
    assert [one["load_seconds"] for one in child] == [50.0, 1.0]
    # and what is not known to be hopeless is measured whole
    assert child[0]["hopeless"] == 0.0
