"""What is finished in a folder: a line of JSON for each file, written when the file has its name.

An end at any moment costs what was being made and nothing else. A line has the hash of what its file was made
from and the sha256 of its bytes; what still is what its line says is not made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sonorant.errors import RequestError, unwritable

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be made."""

    line: int
    """of the list, counted from 1"""
    target: str
    """the file that it becomes, below the folder"""
    request: dict[str, Any]
    """all that decides what it becomes; JSON"""

    @property
    def hash(self) -> str:
        whole = json.dumps(self.request, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(whole.encode()).hexdigest()


def unfinished(items: Iterable[Item], folder: Path) -> list[Item]:
    """Those that have no line in the manifest, or whose file is not what that line says."""
    records = _records(folder / MANIFEST)
    return [item for item in items if not _finished(item, folder, records)]


def below(folder: Path, target: str) -> Path:
    """Where a target is. Raises RequestError for one that would lie elsewhere."""
    path = Path(target)
    if path.is_absolute() or ".." in path.parts or not path.name or target == MANIFEST:
        raise RequestError(
            f"{target!r} cannot be a file of the folder", remedy="Give a path below it", param="file"
        )
    return folder / path


def finish(item: Item, part: Path, folder: Path, manifest: BinaryIO, seconds: float) -> None:
    """Give a finished file its name, then write its line."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
        found = hashlib.file_digest(file, "sha256").hexdigest()
    size = part.stat().st_size
    part.replace(folder / item.target)
    record = {
        "file": item.target,
        "line": item.line,
        "request": item.hash,
        "bytes": size,
        "sha256": found,
        "seconds": round(seconds, 3),
    }
    manifest.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")  # in one write: see opened
    os.fsync(manifest.fileno())


@contextmanager
def opened(folder: Path) -> Iterator[BinaryIO]:
    """The manifest, to be added to, held against other processes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / MANIFEST).open("a+b", buffering=0)
    except OSError as error:
        raise unwritable(folder, error, param="o") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(
                f"Another batch is at work in {folder}", remedy="Wait for its end, or name another folder"
            ) from None
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":  # a line that the end of a process cut off
                file.write(b"\n")
        yield file


def _records(manifest: Path) -> dict[str, dict[str, Any]]:
    """The last line of each file; what is no whole line counts for nothing."""
    records: dict[str, dict[str, Any]] = {}
    try:
        with manifest.open("rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                    records[str(record["file"])] = record
                except (ValueError, TypeError, KeyError):
                    continue
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unwritable(manifest.parent, error, param="o") from error
    return records


def _finished(item: Item, folder: Path, records: dict[str, dict[str, Any]]) -> bool:
    record = records.get(item.target)
    if record is None or record.get("request") != item.hash:
        return False
    try:
        with (folder / item.target).open("rb") as file:
            if os.fstat(file.fileno()).st_size != record.get("bytes"):
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == record.get("sha256")
    except OSError:
        return False
