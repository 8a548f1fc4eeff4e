"""Python environments of Sonorant's own, for what cannot be installed beside it.

One is made where it is first needed: under `<home>/environments/`, by pip, from a list of exact versions that
is part of the package. Nothing of it is ever installed where Sonorant itself runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from sonorant.errors import EngineError, ModelFileError
from sonorant.lock import acquired

APART = Path(__file__).with_name("apart")
"""the lists, and the programs that run in such environments"""

READY = "complete"
"""a file that is written last: without it a folder is what is left of one that was not finished"""
MORE_TIME = "Allow it more time: --timeout"

Report = Callable[[float, str], None]
_Running = AbstractContextManager[tuple[subprocess.Popen[str], IO[bytes]]]
"""a program, and what it writes to its standard error"""

# Standard input is a pipe that its owner holds: a program ends when that does, however it dies.
_OWNED = (
    "import os,sys,threading;threading.Thread(target=lambda:(os.read(0,1),os._exit(1)),daemon=True).start();"
)
_MODULE = _OWNED + "import runpy;sys.argv=sys.argv[1:];runpy.run_module(sys.argv[0],run_name='__main__')"
_FULL = "No space left"
_NO_NETWORK = (
    "name resolution", "NewConnectionError", "Connection refused", "ConnectTimeout", "Network is unreachable",
    "getaddrinfo", "ProxyError", "Max retries exceeded", "ReadTimeout",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Environment:
    """What is installed apart."""

    name: str
    """that of its list, apart/NAME.txt, and the beginning of its folder's"""
    bytes: int
    """free space that making it takes: what it is in the end, and what is downloaded"""

    @property
    def requirements(self) -> Path:
        return APART / f"{self.name}.txt"

    def folder(self, home: Path) -> Path:
        """Another one for each list and Python."""
        version = ".".join(map(str, sys.version_info[:2]))
        told = self.requirements.read_bytes() + version.encode()
        return home / "environments" / f"{self.name}-{hashlib.sha256(told).hexdigest()[:12]}"

    def python(self, home: Path, seconds: float, report: Report = lambda *_: None) -> Path:
        """Its Python, made where it is not there: minutes, and a download. Blocks, for `seconds` at most.

        Raises EngineError where there is no room, network or time enough, or this Python has none of the
        packages.
        """
        until = time.monotonic() + seconds
        folder = self.folder(home)
        python = folder / "bin" / "python"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock"), seconds):
            whole = (folder / READY).is_file() and python.exists()  # a link to one that may be gone
            if not whole:
                self._make(folder, python, report, until)
        return python

    def _make(self, folder: Path, python: Path, report: Report, until: float) -> None:
        if (free := shutil.disk_usage(folder.parent).free) < self.bytes:
            raise EngineError(
                f"{folder.parent} has {free / 1e9:.1f} GB free, and an environment for {self.name} takes "
                f"{self.bytes / 1e9:.1f} GB",
                remedy="Make room, or choose another folder: catalogue.home in the settings",
            )
        report(0.0, f"making an environment for {self.name}")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            self._install(folder, python, report, until)
            (folder / READY).touch()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _install(self, folder: Path, python: Path, report: Report, until: float) -> None:
        with self._module(Path(sys.executable), "venv", [str(folder)], until) as (process, errors):
            assert process.stdout is not None
            told = process.stdout.read()
            if process.wait():
                said = _said(errors) or " ".join(told.split())
                raise EngineError(
                    f"An environment for {self.name} cannot be made",
                    why=said[-300:],
                    remedy="Make room, and try again"
                    if _FULL in said
                    else "Install Python's venv (Debian: `apt install python3-venv`)",
                )
        wanted = sum(
            line[:1].isalnum() for line in self.requirements.read_text(encoding="utf-8").splitlines()
        )
        pip = ["install", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
        pip += ["--progress-bar", "off", "--retries", "2", "--timeout", "20"]
        pip += ["--requirement", str(self.requirements)]
        found = 0
        with self._module(python, "pip", pip, until) as (process, errors):
            assert process.stdout is not None
            last = deque[str](maxlen=5)
            for line in process.stdout:
                last.append(line.strip())
                if line.startswith("Collecting "):
                    found += 1
                    report(0.9 * found / (wanted + 1), f"downloading {line.split()[1].partition('==')[0]}")
                elif line.startswith("Installing "):
                    report(0.9, "installing")
            if process.wait():
                raise self._failed(_said(errors) or " ".join(last))

    def _module(self, python: Path, name: str, arguments: list[str], until: float) -> _Running:
        """A module as a program, which must have ended by then (time.monotonic())."""
        command = [str(python), "-P", "-c", _MODULE, name, *arguments]
        why = f"So much was left to make the environment for {self.name}: a download, once"
        return _program(command, max(0.0, until - time.monotonic()), name, why)

    def _failed(self, said: str) -> EngineError:
        """What pip's words mean."""
        what = f"pip could not install what translates to {self.name}"
        if _FULL in said:
            return EngineError(what, why="The disk is full", remedy="Make room, and try again")
        if any(word in said for word in _NO_NETWORK):
            return EngineError(
                what,
                why="It reaches no package index",
                remedy="Try again with a network, or name a mirror: "
                "`pip config set global.index-url ADDRESS`",
            )
        return EngineError(
            what,
            why=said[-400:],
            remedy="Python 3.11 to 3.13 have these packages; see what is missing for this one, or try again",
        )


def spoken(python: Path, target: str, asked: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """What a program of APART says, called as "package.module:function" with `asked`: JSON, a line each.

    It ends with this process, and after `seconds`. Raises ModelFileError with its last words where it
    crashes.
    """
    module, _, name = target.partition(":")
    code = f"import sys; sys.path.append({str(APART)!r}); from {module} import {name}; {name}()"
    command = [str(python), "-I", "-c", code]
    with _program(command, seconds, module) as (process, errors):
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has crashed at once, which its end tells
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            yield json.loads(line)
        ended = process.wait()
        if ended:
            raise ModelFileError(
                f"{module} ended unexpectedly",
                why=_said(errors)[-300:] or "It said nothing",
                remedy="Run it on ONNX Runtime",
            )


@contextmanager
def _program(
    command: list[str], seconds: float, name: str, why: str = ""
) -> Iterator[tuple[subprocess.Popen[str], IO[bytes]]]:
    """One that is ended, with all that it started, when this is left, and after `seconds`.

    why: it may take long. Raises EngineError in place of what came of that end.
    """
    environment = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "PYTHONHOME", "PIP_USER")}
    late = threading.Event()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment | {"PYTHONNOUSERSITE": "1"},
        )

        def end() -> None:
            if process.poll() is None:
                late.set()
                _end(process)

        alarm = threading.Timer(seconds, end)
        alarm.start()
        try:
            with process:
                try:
                    yield process, errors
                finally:
                    alarm.cancel()
                    _end(process)
        except Exception:  # how a program that was ended looks to whoever reads what it says
            if not late.is_set():
                raise
        if late.is_set():
            raise EngineError(f"{name} took more than {round(seconds, 1):g} s", why=why, remedy=MORE_TIME)


def _end(process: subprocess.Popen[str]) -> None:
    """It and what it started, which would hold its output open."""
    if process.poll() is not None:
        return
    with suppress(psutil.NoSuchProcess):
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.kill()


def _said(errors: IO[bytes]) -> str:
    errors.seek(0)
    return " ".join(errors.read().decode(errors="replace").split())


@contextmanager
def _alone(lock: Path, seconds: float) -> Iterator[None]:
    """No other process makes the same. Raises EngineError where one does for too long."""
    with lock.open("w") as file:
        if not acquired(file.fileno(), seconds):
            raise EngineError(
                f"Another process has been making {lock.stem} for {round(seconds, 1):g} s",
                remedy="Wait for it, or end it",
            )
        yield
