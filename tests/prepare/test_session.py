"""The gate's refusal goes back to the search of layers, some times, and is told."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from prepare import graphs
from sonorant.cli.prepare_output import printed, verdict
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.networks.proof import Finding, Note, Proof, Quality
from sonorant.prepare import child, session
from sonorant.prepare.gate import thresholds
from sonorant.prepare.recipes import way
from sonorant.settings import load_settings

FAILED = Finding(
    "colouring", 7.59, 2.5, "dB, in the band that changed most over all answers", worst=2,
    means=thresholds()["speech"]["colouring"].means,
)  # fmt: skip
SAID = (
    "colouring: 7.59 dB, in the band that changed most over all answers, at most 2.5 is allowed (most in item 3). It"
    " usually means: a band of frequencies is lost or added: dull, thin or hissing."
)


class Gate:
    """Both children, in this process: what is made is real, the gate says what it is told to."""

    def __init__(self, subject, refusals: int, figure: str = "wer_increase") -> None:
        self.subject, self.refusals, self.figure = subject, refusals, figure
        self.unmeasured: dict[str, Note] = {}
        self.told: list[str] = []
        self.targets: list[str] = []

    def child(self, target, arguments, asked, progress, title, of=""):
        self.told.append(of)
        self.targets.append(target)
        if target == "read_model":
            self.subject.save(Path(arguments["folder"]) / "0")
            return ["0"]
        if target == "listen":
            self.refusals -= 1
            failed = (Finding(self.figure, 0.05, 0.02, "", means={"en": "it is worse", "zh": "变差"}),)
            heard = Quality({self.figure: 0.05}, failed if self.refusals >= 0 else (), arguments["allow"])
            return json.loads(json.dumps(asdict(replace(heard, unmeasured=self.unmeasured))))
        return getattr(child, target)(**arguments)


@pytest.fixture
def prepared(made, tmp_path, monkeypatch):
    monkeypatch.setenv("SONORANT_CATALOGUE__HOME", str(tmp_path))
    subject, _ = made(graphs.transformer)

    def of(recipe: str, refusals: int, allow: str = "", unmeasured=(), **more):
        gate = Gate(subject, refusals)
        gate.unmeasured = dict(unmeasured)
        monkeypatch.setattr(session, "_child", gate.child)
        asked = session.Asked("net", (way(recipe),), allow=allow, **more)
        [row] = session.prepare(asked, load_settings())
        return row, gate

    return of


def test_what_the_gate_refuses_is_made_again_with_fewer_layers(prepared):
    row, gate = prepared("int8", 2)
    assert row.artefact.proof.served
    refused = [note for note in row.artefact.proof.evidence.notes if "refused by the quality gate" in note]
    counts = [int(note.split()[0]) for note in refused]
    assert len(counts) == 2
    assert counts[0] > counts[1]
    assert refused[0].endswith(": wer_increase 0.05 > 0.02")
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


def test_what_was_allowed_more_is_not_what_is_asked_for_without(prepared):
    allowed, _ = prepared("int8", 0, allow="int8")
    assert verdict(allowed) == "proven, as int8 may be"
    again, gate = prepared("int8", 0, allow="int8")
    assert again.artefact == allowed.artefact
    assert gate.told == [""], "the model is read, and nothing made"
    strict, gate = prepared("int8", 0)
    assert verdict(strict) == "proven"
    assert "listen" in gate.targets
    reused, _ = prepared("int8", 0, allow="int8")
    assert reused.artefact == strict.artefact, "what is good enough anyway is so by wider bounds"


def test_what_was_made_on_other_recordings_is_made_again(prepared, tmp_path):
    mine = tmp_path / "mine.wav"
    mine.write_bytes(b"what somebody said")
    made = []
    for recordings in ((), (mine,), (mine,), ()):
        _, gate = prepared("float16", 0, recordings=recordings)
        made.append("make_one" in gate.targets)
    assert made == [True, True, False, True]
    prepared("float16", 0, recordings=(mine,))
    mine.write_bytes(b"and something else")
    _, gate = prepared("float16", 0, recordings=(mine,))
    assert "make_one" in gate.targets


def test_what_could_not_be_measured_says_why_and_is_asked_again(prepared, capsys):
    missing = {"speaker": Note("campplus was not asked")}
    row, gate = prepared("float16", 0, unmeasured=missing)
    assert verdict(row) == "quality: not measured"
    assert row.unjudged
    assert not row.artefact.proof.served
    printed([row], "net")
    assert "speaker: not measured: campplus was not asked" in capsys.readouterr().out
    again, gate = prepared("float16", 0)
    assert (again.artefact.proof.served, gate.targets) == (True, ["read_model", "listen"]), "nothing is made"


def test_what_an_older_version_said_in_sentences_is_measured_again(prepared):
    row, _ = prepared("float16", 99)
    file = row.artefact.folder / "proof.json"
    tree = json.loads(file.read_text())
    tree["evidence"]["quality"] = {"figures": {"MOS": 0.3}, "failed": ["Failed: 1 of 22 figures", SAID]}
    file.write_text(json.dumps(tree))
    old = Proof.from_json(file.read_text())
    assert (old.holds, old.served, old.evidence.heard) == (True, False, "not measured")
    again, gate = prepared("float16", 99)
    assert gate.targets == ["read_model", "listen"], "the artefact is the same"
    assert Proof.from_json(file.read_text()) == again.artefact.proof
    assert again.disliked


def test_a_refusal_says_what_serves_and_what_can_be_done(prepared, monkeypatch, capsys):
    row, _ = prepared("int8", 99)
    quality = row.artefact.proof.evidence.quality
    quality = replace(quality, failed=(FAILED,), bounds=dict.fromkeys(map(str, range(18)), 0), wider="int8")
    proof = replace(row.artefact.proof, evidence=replace(row.artefact.proof.evidence, quality=quality))
    parts = [
        replace(row, network=name, part=True, artefact=replace(row.artefact, proof=proof))
        for name in ("net 0", "net 1")
    ]
    printed(parts, "net")
    said = capsys.readouterr().out
    assert said.count(SAID) == 1, "the parts were heard together"
    assert "With --allow int8 it would be good enough." in said
    assert "net 0, net 1 are parts of one network" in said
    assert said.endswith(
        "What is refused does not serve: the publisher's own files go on serving\n"
        "Try: `sonorant prepare net --to int8 --allow int8`\n"
        "Recipes that change no value need nobody to listen: --to conv2d,optimise,openvino\n"
    )
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    printed(parts, "net")
    told = capsys.readouterr().out
    assert "colouring：7.59，限度为 2.5（第 3 项最明显）。通常意味着：某个频段缺失或增加" in told
    assert "未通过：18 项指标中有 1 项超出限度。" in told
    assert not re.search(r"\b(the|of|layers|which|is)\b", told), told
