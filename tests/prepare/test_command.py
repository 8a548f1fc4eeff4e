"""`sonorant prepare` on a bare file, and a served model that runs on what was prepared."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from hosts import host
from prepare import graphs
from sonorant.cli import app
from sonorant.errors import ModelError, RequestError, SonorantError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.networks.prepared import SIZE, SOURCE_SIZE, SPEED, PreparedEngine
from sonorant.networks.proof import Comparison, Evidence, Finding, Proof, Quality
from sonorant.prepare import graph
from sonorant.prepare.making import derive, make
from sonorant.prepare.passes import recipe
from sonorant.prepare.session import Row
from sonorant.settings import load_settings


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sonorant", "prepare", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "SONORANT_CATALOGUE__HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "200"},
    )  # fmt: skip


def test_a_file_is_prepared_proven_and_kept(tmp_path):
    path = graphs.transformer(tmp_path / "net.onnx")
    done = command(tmp_path / "home", str(path), "--to", "int8", "--json", "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)
    assert (row["network"], row["recipe"], row["proven"], row["exact"]) == ("net", "int8", True, False)
    assert row["served"] is False, "nobody can say how a bare file sounds"
    assert row["snr_db"] > 20
    assert Path(row["folder"]).is_relative_to(tmp_path / "home")
    assert (tmp_path / "out" / "net.int8" / "model.onnx").stat().st_size < 0.6 * path.stat().st_size
    proof = json.loads((tmp_path / "out" / "net.int8" / "proof.json").read_text())
    assert (proof["verdict"], proof["quality"]) == ("proven", "not measured")
    shown = command(tmp_path / "home", str(path), "--list")
    assert shown.returncode == 0
    assert "quality: not measured" in shown.stdout
    # what the gate has refused is told by the status, too
    store = Artefacts(tmp_path / "home", described("cpu"))
    [artefact] = store.all(path, "prepared")
    told = {"en": "it sounds worse", "zh": "音质变差"}
    store.judged(artefact, Quality({"MOS": 2.0}, (Finding("MOS", 2.0, 0.05, "of 5", means=told),)))
    again = command(tmp_path / "home", str(path), "--to", "int8")
    assert again.returncode == 1
    assert "not good enough" in again.stdout
    assert "MOS: 2 of 5, at most 0.05 is allowed. It usually means: it sounds worse." in again.stdout


def test_what_cannot_be_prepared_is_told_in_two_lines(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"<html>")
    done = command(tmp_path / "home", str(tmp_path / "net.onnx"), "--half")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ONNX Runtime")
    assert "Traceback" not in done.stderr


def refused(*arguments: str) -> SonorantError:
    """What the command says at once: nothing it would read is there."""
    error = CliRunner().invoke(app, ["prepare", *arguments]).exception
    assert isinstance(error, SonorantError), error
    return error


def test_what_cannot_be_asked_for_is_said_before_the_work(tmp_path):
    path = str(graphs.vocoder(tmp_path / "net.onnx"))
    error = refused(path, "--half", "--allow", "bf")
    assert (error.what, error.remedy) == ("There are no wider thresholds for 'bf'", "Choose int8, or none")
    error = refused(path, "--to", "int8+")
    assert error.what == "Beside a + of 'int8+' nothing is named"
    assert "int8" in error.remedy
    assert "litert" in error.remedy
    error = refused(path, "--half", "--output", f"{path}/out")
    assert error.what == f"{path}/out cannot be written"
    assert error.remedy == "Choose another place"
    assert refused(path, "--half", "--recording", f"{path}.wav").what == f"There is no file {path}.wav"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refused(str(tmp_path / "pipe.onnx"), "--half").what.endswith("pipe.onnx is no file")


def test_what_cannot_be_copied_in_the_end_is_told_behind_what_was_made(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    row = Row("net", "int8", Artefact(tmp_path, Proof("prepared", None, {}, PROVEN, "")))
    monkeypatch.setattr("sonorant.prepare.session.prepare", lambda *_: [row])
    monkeypatch.setattr("shutil.copytree", full)
    done = CliRunner().invoke(app, ["prepare", "net", "--to", "int8", "--output", str(tmp_path / "out")])
    assert "int8" in done.stdout
    assert isinstance(done.exception, RequestError)
    assert done.exception.why == "No space left on device"


NOTHING = Evidence("", objection="there is nothing in it that int8 changes", unchanged=True)
PROVEN = Evidence("", comparisons=(Comparison("usual", {"y": 0.0}, {"y": 99.0}),), least_snr=20.0)


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        ([NOTHING, PROVEN], 0, ""),
        ([NOTHING, NOTHING], 1, "Nothing was made: no network of it has anything that int8 changes\n"),
        ([NOTHING, Evidence("", objection="it is wrong")], 1, "What is refused does not serve"),
    ],
)
def test_a_network_without_anything_to_change_is_not_refused(tmp_path, monkeypatch, found, status, said):
    rows = [
        Row(f"net {i}", "int8", Artefact(tmp_path, Proof("prepared", None, {}, each, "")))
        for i, each in enumerate(found)
    ]
    monkeypatch.setattr("sonorant.prepare.session.prepare", lambda *_: rows)
    done = CliRunner().invoke(app, ["prepare", "net", "--to", "int8"])
    assert done.exit_code == status
    assert "nothing to change" in done.stdout
    assert "net 0, int8:\n  there is nothing in it that int8 changes\n" in done.stdout
    assert said in done.stdout
    assert ("is refused" in done.stdout) == ("is refused" in said)


def test_weights_in_another_file_are_part_of_the_size(tmp_path):
    model = onnx.load(graphs.vocoder(tmp_path / "whole.onnx"))
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    assert path.stat().st_size < 0.5 * (tmp_path / "whole.onnx").stat().st_size
    (tmp_path / "made").mkdir()
    figures = derive(tmp_path / "made", graph.subject(path), recipe("float16")).figures
    assert figures[SOURCE_SIZE] == pytest.approx((tmp_path / "whole.onnx").stat().st_size, rel=0.1)
    assert 0.4 < figures[SIZE] / figures[SOURCE_SIZE] < 0.7


def test_other_weights_in_another_file_are_another_model(tmp_path):
    model = onnx.load(graphs.vocoder(tmp_path / "whole.onnx"))
    path, data = tmp_path / "net.onnx", tmp_path / f"{'n' * 200}.data"
    onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=0)
    artefacts = Artefacts(tmp_path / "home", "onnxruntime")
    artefacts.make(path, "prepared", "prepared-2.slim", lambda _: PROVEN)
    assert artefacts.kept(path, "prepared", "prepared-2.slim")
    data.write_bytes(bytes(data.stat().st_size))
    assert artefacts.kept(path, "prepared", "prepared-2.slim") is None
    assert artefacts.all(path, "prepared") == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("int9", "Did you mean 'int8'"), ("slim+", "Beside a"), ("+", "Beside a"), (" ", "No pass is named")],
)
def test_a_recipe_is_passes_by_their_names(name, message):
    with pytest.raises(RequestError, match=message):
        recipe(name)


def test_the_precision_of_a_recipe_is_the_lowest_of_its_passes():
    assert recipe("slim+int8-static").precision == "int8"
    assert recipe("slim+opset").precision == "float32"
    assert recipe("float16").id == "prepared-2.float16"


def test_a_host_serves_what_is_proven_and_refuses_a_precision_that_is_not(made, tmp_path):
    subject, _ = made(graphs.transformer)
    store = Artefacts(tmp_path / "home", described("cpu"))
    artefact = make(subject, recipe("int8"), store)
    int8 = host(tmp_path, "int8")
    assert not isinstance(int8.engine("net", subject.path), PreparedEngine), (
        "its quality has not been measured"
    )
    with pytest.raises(ModelError, match=r"has nothing in int8 .* `sonorant prepare .* --to int8`"):
        int8.check()
    store.judged(artefact, Quality({"WER": 0.01}))
    engine = int8.engine("net", subject.path)
    assert isinstance(engine, PreparedEngine)
    int8.check()
    assert int8.identities == list(artefact.proof.derived.values())
    assert not isinstance(int8.engine("net", subject.path, published=True), PreparedEngine)
    assert not isinstance(host(tmp_path, "float32").engine("net", subject.path), PreparedEngine)
    feeds = subject.recorded[0]
    ours, theirs = engine.prepare(feeds)(), int8.engine("net", subject.path, published=True).prepare(feeds)()
    assert 0 < np.abs(ours["logits"] - theirs["logits"]).max() < 0.5


def test_auto_takes_an_artefact_only_where_it_is_faster(made, tmp_path):
    subject, _ = made(graphs.transformer)
    store = Artefacts(tmp_path / "home", described("cpu"))
    artefact = make(subject, recipe("slim"), store)
    figures = artefact.proof.evidence.figures
    for speed, taken in ((0.9, False), (1.5, True)):
        evidence = replace(artefact.proof.evidence, figures={**figures, SPEED: speed})
        store.judged(replace(artefact, proof=replace(artefact.proof, evidence=evidence)), Quality({"x": 1.0}))
        assert isinstance(host(tmp_path, "auto").engine("net", subject.path), PreparedEngine) is taken


def test_the_precision_that_serves_is_a_setting(monkeypatch):
    monkeypatch.setenv("SONORANT_PRECISION", "int8")
    assert load_settings().precision == "int8"
