"""`sonorant models`, `show`, `pull` and `remove`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sonorant.cli.models import models
from sonorant.cli.pull import pull
from sonorant.cli.remove import remove
from sonorant.cli.show import show
from sonorant.errors import DownloadError, UnknownModelError

app = typer.Typer()
for command in (models, show, pull, remove):
    app.command()(command)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SONORANT_CATALOGUE__HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def sonorant(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def present(name: str) -> bool:
    rows = json.loads(sonorant("models", "--json"))
    return next(bool(row["present"]) for row in rows if row["name"] == name)


def test_a_model_is_pulled_shown_and_removed(home: Path) -> None:
    assert not present("hibari")
    assert str(home / "models" / "hibari") in sonorant("pull", "hibari", "--offline")
    assert present("hibari")
    assert "7.9 MB" in sonorant("remove", "hibari")
    assert not present("hibari")


def test_what_was_derived_from_a_model_goes_with_it(home: Path) -> None:
    sonorant("pull", "hibari", "--offline")
    network = next((home / "models" / "hibari").rglob("*.onnx"))
    derived = home / "artefacts" / hashlib.sha256(network.read_bytes()).hexdigest() / "cut-1"
    derived.mkdir(parents=True)
    (derived / "front.onnx").write_bytes(bytes(1_000_000))
    of_that = home / "artefacts" / hashlib.sha256(bytes(1_000_000)).hexdigest() / "prepared-2.int8"
    of_that.mkdir(parents=True)
    (of_that / "model.onnx").write_bytes(bytes(2_000_000))
    assert "10.9 MB" in sonorant("remove", "hibari")
    assert not derived.exists()
    assert not of_that.exists()


def test_the_table_names_every_model() -> None:
    table = sonorant("models")
    for word in ("hibari", "moonshine-tiny", "speech-to-text", "Apache-2.0", "7.9 MB"):
        assert word in table


def test_show_tells_files_voices_parts_and_sources() -> None:
    sonorant("pull", "hibari", "--offline")
    assert "sonorant[espeak]" in sonorant("show", "piper-joe"), "an extra is no style of the terminal"
    shown = sonorant("show", "hibari")
    for word in (
        "heart: en-US female\n",
        "emma: en-GB female, not here",
        "bf_emma.int8.onnx",
        "package: hibari-tts==0.2.1",
        "huggingface: maureesewilliams/hibari@main",
    ):
        assert word in "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"
    assert "vad: silero-vad" in sonorant("show", "moonshine-tiny")


def test_the_parts_of_a_model_are_pulled_with_it(home: Path) -> None:
    (home / "cards").mkdir()
    (home / "cards" / "toy.toml").write_text("""
name = "toy"
revision = "1"
family = "moonshine"
task = "speech-to-text"
languages = ["en"]
licence = "MIT"
parts = { voice = "hibari" }
""")
    sonorant("pull", "toy", "--offline")
    assert present("hibari")


def test_all_voices_means_all_voices() -> None:
    with pytest.raises(DownloadError, match=r"bf_emma\.int8\.onnx.*--voice emma"):
        sonorant("pull", "hibari", "--all-voices", "--offline")


def test_an_unknown_model_is_refused_before_anything_is_removed() -> None:
    sonorant("pull", "hibari", "--offline")
    with pytest.raises(UnknownModelError, match="Known models"):
        sonorant("remove", "hibari", "nothing")
    assert present("hibari")
