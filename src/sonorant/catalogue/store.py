"""The local store: `<home>/models/<name>/<revision>/<file>`.

What is derived from a file lies in `<home>/artefacts/<its sha256>/` (`sonorant.networks.artefacts`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sonorant.catalogue.card import File, ModelCard
from sonorant.catalogue.digests import beside, identity
from sonorant.errors import DownloadError, ModelFileError
from sonorant.lock import acquired
from sonorant.settings import CatalogueSettings
from sonorant.tasks import Voice

_LOCK_SECONDS = 1800.0
"""how long one process waits for another that pulls the same model"""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class Store:
    """The models that are kept on this machine."""

    def __init__(self, settings: CatalogueSettings) -> None:
        self.home = settings.home.expanduser()

    def folder(self, card: ModelCard) -> Path:
        """Where the model's files lie; it need not exist yet."""
        return self.home / "models" / card.name / card.revision

    def missing(self, card: ModelCard, voices: Sequence[str] = ()) -> list[File]:
        """The files that the model and these of its voices need and lack. Bytes are not checked."""
        return [f for f in card.needed(tuple(voices)) if not (self.folder(card) / f.name).is_file()]

    def voices(self, card: ModelCard) -> tuple[Voice, ...]:
        """The voices whose files are all here."""
        lacking = {f.voice for f in card.files if not (self.folder(card) / f.name).is_file()}
        return () if "" in lacking else tuple(v for v in card.voices if v.name not in lacking)

    def verify(self, card: ModelCard) -> None:
        """Check each file that is here: its size, then its sha256.

        Raises ModelFileError that names the first one that is missing or damaged. Voices that were
        never pulled are not missing.
        """
        for file in card.files:
            path = self.folder(card) / file.name
            if path.is_file():
                self._check(path, file, card)
            elif not file.optional:
                raise ModelFileError(
                    f"{path} of the model {card} is missing", remedy=f"Run `sonorant pull {card}`"
                )

    def is_whole(self, file: File, card: ModelCard) -> bool:
        """Whether the file is here with the right bytes."""
        path = self.folder(card) / file.name
        return path.is_file() and _fault(path, file) is None

    def remove(self, card: ModelCard) -> int:
        """Delete the model's files and what was derived from them; returns how many bytes that freed."""
        folder = self.folder(card)
        if not folder.is_dir():
            return 0
        with self.lock(card):
            freed = 0
            for gone in (folder, *self._derived(card)):
                freed += sum(p.stat().st_size for p in gone.rglob("*") if p.is_file())
                shutil.rmtree(gone)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        return freed

    def _derived(self, card: ModelCard) -> list[Path]:
        """Where what was made of its files is kept, and what was made of that: parts, exports, decoders."""
        waiting, found = [file.sha256 for file in card.files], dict[str, Path]()
        waiting += [identity(file) for file in self.folder(card).rglob("*.onnx") if beside(file)]
        while waiting:
            digest = waiting.pop()
            kept = self.home / "artefacts" / digest
            if digest not in found and kept.is_dir():
                found[digest] = kept
                waiting += map(identity, kept.rglob("*.onnx"))
        return list(found.values())

    @contextmanager
    def lock(self, card: ModelCard) -> Iterator[None]:
        """Hold the model against other processes. Raises DownloadError when one holds it for too long."""
        path = self.home / "locks" / f"{card}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as stream:
            if not acquired(stream.fileno(), _LOCK_SECONDS):
                raise DownloadError(
                    f"The model {card} cannot be pulled",
                    why=f"Another process has held it for {_LOCK_SECONDS / 60:.0f} minutes",
                    remedy="End that process, then try again",
                )
            yield  # closing the file, or the end of the process, lets go

    def _check(self, path: Path, file: File, card: ModelCard) -> None:
        if fault := _fault(path, file):
            raise ModelFileError(
                f"{path} of the model {card} is damaged",
                why=fault,
                remedy=f"Run `sonorant pull {card} --force`",
            )


def _fault(path: Path, file: File) -> str | None:
    """What is wrong with a file, or None."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(256)
        if head.startswith(_LFS_POINTER):
            return "It is a Git LFS pointer, not the file itself: it was cloned without `git lfs pull`"
        if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return "It is a web page, perhaps the error or log-in page of a download that failed"
        if size != file.size:
            if size < file.size:
                return f"It is truncated: it has {size} of {file.size} bytes"
            return f"It is too long: it has {size} of {file.size} bytes"
        stream.seek(0)
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if found == file.sha256 else f"Some of its bytes are wrong: sha256 {found}, not {file.sha256}"
