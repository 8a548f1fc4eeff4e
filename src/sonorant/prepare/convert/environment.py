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
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sonorant.errors import EngineError, ModelFileError
from sonorant.lock import acquired

APART = Path(__file__).with_name("apart")
"""the lists, and the programs that run in such environments"""

READY = "complete"
"""a file that is written last"""
WAIT = 1500.0
"""seconds that another process may take to make the same one"""

Report = Callable[[float, str], None]

# Standard input is a pipe that its owner holds: a program ends when that does, however it dies.
_OWNED = (
    "import os,sys,threading;threading.Thread(target=lambda:(os.read(0,1),os._exit(1)),daemon=True).start();"
)
_PIP = _OWNED + "import runpy;sys.argv[0]='pip';runpy.run_module('pip',run_name='__main__')"
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

    def python(self, home: Path, report: Report = lambda *_: None) -> Path:
        """Its Python, made where it is not there: minutes, and a download. Blocks.

        Raises EngineError where there is no room or network, or this Python has none of the packages.
        """
        folder = self.folder(home)
        python = folder / "bin" / "python"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock")):
            whole = (folder / READY).is_file() and python.exists()  # a link to one that may be gone
            if not whole:
                self._make(folder, python, report)
        return python

    def _make(self, folder: Path, python: Path, report: Report) -> None:
        if (free := shutil.disk_usage(folder.parent).free) < self.bytes:
            raise EngineError(
                f"{folder.parent} has {free / 1e9:.1f} GB free, and an environment for {self.name} takes "
                f"{self.bytes / 1e9:.1f} GB",
                remedy="Make room, or choose another folder: catalogue.home in the settings",
            )
        report(0.0, f"making an environment for {self.name}")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            self._install(folder, python, report)
            (folder / READY).touch()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _install(self, folder: Path, python: Path, report: Report) -> None:
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT,
        )
        if made.returncode:
            raise EngineError(
                f"An environment for {self.name} cannot be made",
                why=" ".join((made.stderr or made.stdout).split())[-300:],
                remedy="Install Python's venv (Debian: `apt install python3-venv`)",
            )
        wanted = sum(
            line[:1].isalnum() for line in self.requirements.read_text(encoding="utf-8").splitlines()
        )
        pip = [str(python), "-c", _PIP, "install", "--no-input", "--disable-pip-version-check", "--no-deps"]
        pip += ["--only-binary", ":all:", "--progress-bar", "off", "--retries", "2", "--timeout", "20"]
        found = 0
        with _program([*pip, "--requirement", str(self.requirements)]) as (process, errors):
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

    def _failed(self, said: str) -> EngineError:
        """What pip's words mean."""
        what = f"pip could not install what translates to {self.name}"
        if "No space left" in said:
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
    with _program([str(python), "-I", "-c", code]) as (process, errors):
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        alarm = threading.Timer(seconds, end)
        alarm.start()
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                yield json.loads(line)
            ended = process.wait()
        finally:
            alarm.cancel()
        if late.is_set():
            raise EngineError(
                f"{module} took more than {seconds:g} s", remedy="Allow it more time: --timeout"
            )
        if ended:
            raise ModelFileError(
                f"{module} ended unexpectedly",
                why=_said(errors)[-300:] or "It said nothing",
                remedy="Run it on ONNX Runtime",
            )


@contextmanager
def _program(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[bytes]]]:
    """One that is ended when this is left."""
    environment = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "PYTHONHOME", "PIP_USER")}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment | {"PYTHONNOUSERSITE": "1"},
        )
        try:
            with process:
                try:
                    yield process, errors
                finally:
                    process.kill()
        finally:
            process.wait()


def _said(errors: IO[bytes]) -> str:
    errors.seek(0)
    return " ".join(errors.read().decode(errors="replace").split())


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """No other process makes the same. Raises EngineError where one does for too long."""
    with lock.open("w") as file:
        if not acquired(file.fileno(), WAIT):
            raise EngineError(
                f"Another process has been making {lock.stem} for {WAIT:g} s",
                remedy=f"End it, and delete {lock}",
            )
        yield
