"""A file on its way: `<name>.part` beside its place, hashed as its bytes come, moved there when whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Protocol

from sonorant.catalogue.card import File
from sonorant.catalogue.sources import SourceFailed

BLOCK = 1 << 20


class Progress(Protocol):
    """Who watches a pull. Files come one after another."""

    def start(self, name: str, total: int) -> None:
        """The next file and its bytes (0 = unknown); the one before is over, whole or not."""
        ...

    def advance(self, n: int) -> None:
        """`n` more bytes are here; negative where a source failed and the next one starts again."""
        ...

    def done(self) -> None:
        """The file is whole."""
        ...


class Unwatched:
    """Nobody watches."""

    def start(self, name: str, total: int) -> None: ...

    def advance(self, n: int) -> None: ...

    def done(self) -> None: ...


class Abandoned(Exception):
    """The pull was given up by who asked for it."""


class Abandonable:
    """Passes on to `progress` until `abandon`, then ends the pull at its next block, with Abandoned.

    What has arrived is kept for the next pull.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or Unwatched()
        self._abandoned = False

    def abandon(self) -> None:
        """May be called from any thread."""
        self._abandoned = True

    def start(self, name: str, total: int) -> None:
        self._progress.start(name, total)

    def advance(self, n: int) -> None:
        if self._abandoned:
            raise Abandoned
        self._progress.advance(n)

    def done(self) -> None:
        self._progress.done()


class WrongBytes(SourceFailed):
    """As many bytes as there should be, but not these."""


class Part:
    """The unfinished file; what an earlier run left of it is kept and hashed, so that it can go on."""

    def __init__(self, target: Path, file: File, progress: Progress) -> None:
        self.file = file
        self.size = 0
        """bytes that are here"""
        self.target = target
        self._progress = progress
        self._path = target.with_name(target.name + ".part")
        self._hash = hashlib.sha256()
        self._stream = self._path.open("ab+")

    def __enter__(self) -> Part:
        self._stream.seek(0)
        while block := self._stream.read(BLOCK):
            self._took(block)
        if self.size > self.file.size:
            self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if self.size == 0:
            self._path.unlink(missing_ok=True)

    def write(self, block: bytes) -> None:
        """Append. Raises SourceFailed when that is more than the file has."""
        if self.size + len(block) > self.file.size:
            self.restart()
            raise SourceFailed(f"sent more than the {self.file.size} bytes of the file")
        self._stream.write(block)
        self._took(block)

    def restart(self) -> None:
        """Forget what is here."""
        self._stream.truncate(0)
        self._hash = hashlib.sha256()
        self._progress.advance(-self.size)
        self.size = 0

    def check(self) -> None:
        """Raises SourceFailed unless every byte is here and right; wrong ones are forgotten."""
        if self.size < self.file.size:
            raise SourceFailed(f"ended after {self.size} of {self.file.size} bytes")
        if (found := self._hash.hexdigest()) != self.file.sha256:
            self.restart()
            raise WrongBytes(f"sent other bytes: their sha256 is {found}, not {self.file.sha256}")

    def finish(self) -> None:
        """Put the whole, checked file in its place at one stroke."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        os.replace(self._path, self.target)

    def _took(self, block: bytes) -> None:
        self._hash.update(block)
        self.size += len(block)
        self._progress.advance(len(block))
