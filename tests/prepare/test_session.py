"""The gate's refusal goes back to the search of layers, some times, and is told."""

import json
from pathlib import Path

import pytest

from prepare import graphs
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.prepare import child, session
from sonorant.prepare.recipes import way
from sonorant.settings import load_settings


class Gate:
    """Both children, in this process: what is made is real, the gate says what it is told to."""

    def __init__(self, subject, refusals: int, figure: str = "wer_increase") -> None:
        self.subject, self.refusals, self.figure = subject, refusals, figure
        self.told: list[str] = []

    def child(self, target, arguments, asked, progress, of=""):
        self.told.append(of)
        if target == "read_model":
            self.subject.save(Path(arguments["folder"]) / "0")
            return ["0"]
        if target == "listen":
            self.refusals -= 1
            refused = self.refusals >= 0
            return {
                "outcome": "failed" if refused else "passed",
                "figures": {self.figure: 0.05},
                "lines": ["it is worse"] if refused else ["it is as good"],
                "failed": {self.figure: [0.05, 0.02]} if refused else {},
            }
        return getattr(child, target)(**arguments)


@pytest.fixture
def prepared(made, tmp_path, monkeypatch):
    monkeypatch.setenv("SONORANT_CATALOGUE__HOME", str(tmp_path))
    subject, _ = made(graphs.transformer)

    def of(recipe: str, refusals: int):
        gate = Gate(subject, refusals)
        monkeypatch.setattr(session, "_child", gate.child)
        [row] = session.prepare(session.Asked("net", (way(recipe),)), load_settings())
        return row, gate

    return of


def test_what_the_gate_refuses_is_made_again_with_fewer_layers(prepared):
    row, gate = prepared("int8", 2)
    assert row.artefact.proof.served
    refused = [note for note in row.artefact.proof.evidence.notes if "the quality gate refused it" in note]
    counts = [int(note.split()[1]) for note in refused]
    assert len(counts) == 2
    assert counts[0] > counts[1]
    assert refused[0].endswith(": wer_increase 0.05, at most 0.02")
    left = next(note for note in row.artefact.proof.evidence.notes if "layers changed, which have" in note)
    assert int(left.split()[0]) < counts[1]
    assert sum("again, as wer_increase failed" in each for each in gate.told) == 2


def test_it_is_asked_again_a_few_times_only_and_the_last_refusal_stands(prepared, tmp_path):
    row, gate = prepared("int8", 99)
    assert row.refused
    assert gate.refusals == 99 - 1 - session.AGAIN
    [kept] = Artefacts(tmp_path, described("cpu")).all(gate.subject.path, "prepared")
    assert json.loads((kept.folder / "proof.json").read_text())["quality"] == "not good enough"


def test_a_recipe_without_a_search_is_heard_once(prepared):
    row, gate = prepared("float16", 99)
    assert row.refused
    assert gate.refusals == 98
