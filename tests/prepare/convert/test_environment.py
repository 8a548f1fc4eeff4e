"""Environments apart: how their making fails, and programs that run in them."""

import subprocess
import sys
import time

import pytest

from sonorant.errors import EngineError, ModelFileError
from sonorant.prepare.convert import environment
from sonorant.prepare.convert.environment import Environment, spoken


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A folder for lists and programs."""
    folder = tmp_path / "apart"
    folder.mkdir()
    monkeypatch.setattr(environment, "APART", folder)
    (folder / "thing.txt").write_text("# nothing else\nno-such-thing==1.0\n")
    return folder


def test_no_room_is_found_out_before_anything_is_downloaded(apart, tmp_path):
    with pytest.raises(EngineError, match="an environment for thing takes 1000000000.0 GB"):
        Environment("thing", 10**18).python(tmp_path)
    assert [path.name for path in (tmp_path / "environments").iterdir() if path.is_dir()] == []


def test_no_network_and_a_package_that_is_not_there_are_told_apart(apart, tmp_path, monkeypatch):
    told = []
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(EngineError, match="pip could not install") as failed:
        Environment("thing", 1).python(tmp_path, lambda share, doing: told.append(doing))
    assert failed.value.why == "It reaches no package index"
    assert told[0] == "making an environment for thing"
    environment_ = Environment("thing", 1)
    assert not environment_.folder(tmp_path).exists()
    error = environment_._failed("ERROR: No matching distribution found for no-such-thing==1.0")
    assert "No matching distribution" in error.why
    assert environment_._failed("OSError: [Errno 28] No space left on device").why == "The disk is full"


def test_another_list_is_another_environment(apart, tmp_path):
    before = Environment("thing", 1).folder(tmp_path)
    (apart / "thing.txt").write_text("no-such-thing==2.0\n")
    assert Environment("thing", 1).folder(tmp_path) != before


def test_an_environment_that_is_there_is_not_made_again(apart, tmp_path):
    there = Environment("thing", 10**18)
    python = there.folder(tmp_path) / "bin" / "python"
    python.parent.mkdir(parents=True)
    (there.folder(tmp_path) / environment.READY).touch()
    with pytest.raises(EngineError, match="GB free"):  # its Python is gone: it would be made
        there.python(tmp_path)
    python.symlink_to(sys.executable)
    assert there.python(tmp_path) == python


def program(apart, body):
    """In a language of its own, as far as this Python is concerned: it does not find sonorant."""
    (apart / "speaker.py").write_text(f"import json, os, sys, threading, time\ndef main():\n{body}")
    return lambda seconds=10.0, **asked: list(spoken(sys.executable, "speaker:main", asked, seconds))


def test_a_program_is_asked_and_answers_in_lines(apart):
    say = program(apart, "    asked = json.loads(input())\n    print(json.dumps(asked)); print('{}')\n")
    assert say(target="x") == [{"target": "x"}, {}]


def test_a_program_that_crashes_or_takes_too_long_is_named(apart):
    crash = program(apart, "    sys.exit('a strange graph')\n")
    with pytest.raises(ModelFileError) as crashed:
        crash()
    assert crashed.value.why == "a strange graph"
    slow = program(apart, "    time.sleep(60)\n")
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"speaker took more than 0\.5 s"):
        slow(0.5)
    assert time.monotonic() - began < 20


def test_a_program_ends_with_its_owner(apart, tmp_path):
    """Also where that is killed: its standard input is then closed."""
    ran = [sys.executable, "-c", environment._OWNED + "import time; print(1, flush=True); time.sleep(60)"]
    child = subprocess.Popen(ran, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"1\n"
    child.stdin.close()
    assert child.wait(10) == 1
    child.stdout.close()
