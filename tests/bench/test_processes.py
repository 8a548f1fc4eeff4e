"""What processes hold and take, seen from outside."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from sonorant.bench.processes import Processes, listening

CHILD = """
import sys
for line in sys.stdin:
    kept = bytearray(b"x") * int(line)
    print("done", flush=True)
    if int(line) > 10**8: kept = b""
"""
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {CHILD!r}])
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process whose child holds as many bytes as each line of its input says."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()
        process.wait(20)


def hold(process: subprocess.Popen[str], size: int) -> None:
    process.stdin.write(f"{size}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def test_memory_of_a_child_counts(parent):
    hold(parent, 1)
    processes = Processes(parent.pid)
    assert len(processes.family()) == 2
    before = processes.memory()
    hold(parent, 50_000_000)
    assert processes.memory() - before == pytest.approx(50e6, rel=0.1)


def test_a_peak_that_has_passed_is_seen(parent):
    hold(parent, 1)
    processes = Processes(parent.pid)
    before = processes.memory()
    with processes.watched() as peak:
        hold(parent, 60_000_000)
        time.sleep(0.5)
        hold(parent, 1)
    assert peak.memory - before == pytest.approx(60e6, rel=0.2)
    assert processes.memory() - before < 10e6
    assert 0 < peak.cpu < 0.5


def test_cpu_counts_children_that_have_ended():
    script = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'for i in range(10**7): pass'])\nprint(flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        processes = Processes(process.pid)
        assert processes.cpu() > processes.root_cpu() + 0.05
        process.stdin.close()


def test_processes_that_have_ended_hold_nothing(parent):
    hold(parent, 1)
    processes = Processes(parent.pid)
    parent.stdin.close()
    parent.wait(20)
    assert (processes.memory(), processes.cpu()) == (0, 0.0)


def test_no_such_process():
    with pytest.raises(psutil.NoSuchProcess):
        Processes(2**22 + 1)


def test_who_listens():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert listening("127.0.0.1", port) == []
        bound.listen()
        assert listening("127.0.0.1", port) == listening("localhost", port) == [os.getpid()]
        assert listening("203.0.113.5", port) == []


@pytest.mark.parametrize(
    ("script", "held"),
    [
        ("echo '{pid}, 1024'; echo '1, 500'", 2**30),
        ("echo '{pid}, [N/A]'", None),
        ("exit 9", None),
        (None, None),
    ],
)
def test_memory_of_a_gpu(tmp_path, monkeypatch, script, held):
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text("#!/bin/sh\n" + script.format(pid=os.getpid()) + "\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Processes(os.getpid()).device_memory() == held
