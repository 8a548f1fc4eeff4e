"""Environments apart: how their making fails, and programs that run in them."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sonorant.confined import confined, left
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
        Environment("thing", 10**18).python(tmp_path, 60)
    assert [path.name for path in (tmp_path / "environments").iterdir() if path.is_dir()] == []


def test_no_network_and_a_package_that_is_not_there_are_told_apart(apart, tmp_path, monkeypatch):
    told = []
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(EngineError, match="pip could not install") as failed:
        Environment("thing", 1).python(tmp_path, 60, lambda share, doing: told.append(doing))
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
        there.python(tmp_path, 60)
    python.symlink_to(sys.executable)
    assert there.python(tmp_path, 60) == python


VENV = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[-1])
if sys.argv[1] == "venv":
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
"""
"""in place of venv and pip: what venv leaves behind, and a pip that has nothing to do"""


@pytest.fixture
def stand_in(apart, monkeypatch):
    """What runs in place of venv and pip."""

    def set_to(code):
        monkeypatch.setattr(environment, "_MODULE", code)
        return Environment("thing", 1)

    return set_to


def test_what_takes_longer_than_it_may_is_named_and_leaves_nothing_behind(stand_in, tmp_path):
    """Nor a process that it has started: that would hold its output open, and be waited for."""
    done = tmp_path / "done"
    sleep = f"import time; time.sleep(20); open({str(done)!r}, 'w')"
    slow = stand_in(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])")
    with pytest.raises(EngineError, match="venv took more than 2 s") as late:
        slow.python(tmp_path, 2)
    assert "--timeout" in late.value.remedy
    assert not slow.folder(tmp_path).exists()
    assert not done.exists()


def half_made(home: str, apart: str) -> None:
    environment._MODULE, environment.APART = VENV + "else: time.sleep(60)", Path(apart)
    Environment("thing", 1).python(Path(home), left())


def test_what_takes_longer_than_the_whole_step_may_leaves_nothing_behind_either(apart, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    asked = {"home": str(tmp_path), "apart": str(environment.APART)}
    with pytest.raises(EngineError, match="pip took more than"):
        confined("prepare.convert.test_environment:half_made", asked, title="Preparing", seconds=6)
    assert not Environment("thing", 1).folder(tmp_path).exists()


def test_half_an_environment_is_not_taken_for_a_whole_one(stand_in, tmp_path):
    slow = stand_in(VENV + "else: time.sleep(60)")
    with pytest.raises(EngineError, match="pip took more than"):
        slow.python(tmp_path, 3)
    folder = slow.folder(tmp_path)
    assert not folder.exists()
    (folder / "bin").mkdir(parents=True)  # as of one that was killed
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "half").touch()
    quick = stand_in(VENV)
    python = quick.python(tmp_path, 60)
    assert sorted(path.name for path in folder.iterdir()) == ["bin", environment.READY]
    assert stand_in("raise SystemExit(1)").python(tmp_path, 60) == python == folder / "bin" / "python"


@pytest.mark.parametrize(
    ("said", "remedy"),
    [("ensurepip is not available", "apt install python3-venv"), ("No space left on device", "Make room")],
)
def test_where_python_makes_no_environment_it_is_said_why(stand_in, tmp_path, said, remedy):
    failing = stand_in(f"raise SystemExit({said!r})")
    with pytest.raises(EngineError, match="An environment for thing cannot be made") as failed:
        failing.python(tmp_path, 60)
    assert failed.value.why == said
    assert remedy in failed.value.remedy


def test_another_process_that_makes_it_is_waited_for_as_long_as_it_may_take(apart, tmp_path):
    there = Environment("thing", 1)
    lock = Path(there.folder(tmp_path)).with_suffix(".lock")
    lock.parent.mkdir()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="Another process has been making thing-"):
            there.python(tmp_path, 0.2)


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
