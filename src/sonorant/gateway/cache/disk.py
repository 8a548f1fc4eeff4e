"""Entries as files of one folder, which survive a restart and may be shared by several servers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import monotonic
from typing import TypeVar

from sonorant.gateway.cache.stores import Sizes
from sonorant.settings import CacheSettings

log = logging.getLogger("sonorant.cache")

PATIENCE_SECONDS = 0.5
"""a disk that takes longer to read is of no use; what it is asked next waits behind it"""
WRITING_SECONDS = 10.0
LOG_SECONDS = 60.0
"""between two messages that the folder cannot be used"""

T = TypeVar("T")


class DiskStore:
    """Least recently used entries go first; a file's time says when that was."""

    def __init__(self, folder: Path, limit: int, changed: Callable[[int, int], None]) -> None:
        self._folder = folder
        self._sizes = Sizes(limit, changed)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sonorant-cache")
        self._pool.submit(self._open)
        self._said = -LOG_SECONDS

    async def get(self, name: str) -> bytes | None:
        return await self._do(lambda: self._read(name), PATIENCE_SECONDS)

    async def put(self, name: str, entry: bytes) -> None:
        await self._do(lambda: self._write(name, entry), WRITING_SECONDS)

    async def drop(self, name: str) -> None:
        await self._do(lambda: self._remove(name), WRITING_SECONDS)

    async def purge(self, tag: str) -> None:
        def purged() -> None:
            for path in self._folder.glob(f"*.{tag}*"):
                self._remove(path.name)

        await self._do(purged, WRITING_SECONDS)

    def take(self, settings: CacheSettings) -> None:
        self._sizes.limit = settings.bytes
        self._pool.submit(self._shrink)

    async def spare(self, on: bool) -> None:
        pass  # it holds nothing here

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _do(self, work: Callable[[], T], seconds: float) -> T | None:
        """The result of `work` in the store's own thread; None where the disk fails or is slow."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except (OSError, RuntimeError) as error:  # TimeoutError is an OSError; a closed pool a RuntimeError
            if monotonic() - self._said > LOG_SECONDS:
                self._said = monotonic()
                log.warning("the cache folder %s cannot be used: %s", self._folder, error or "it is too slow")
            return None

    def _open(self) -> None:
        with suppress(OSError):  # what is wrong shows again when it is used, and is said then
            self._folder.mkdir(parents=True, exist_ok=True)
            found = [(e.stat(), e.name) for e in os.scandir(self._folder) if e.is_file(follow_symlinks=False)]
            for stat, name in sorted(found, key=lambda one: one[0].st_mtime):
                for old in self._sizes.added(name, stat.st_size):
                    self._remove(old)

    def _shrink(self) -> None:
        with suppress(OSError):  # it shows again when it is used
            for old in self._sizes.bounded():
                self._remove(old)

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            entry = path.read_bytes()
        except FileNotFoundError:
            self._sizes.removed(name)
            return None
        os.utime(path)
        self._sizes.used(name)
        return entry

    def _write(self, name: str, entry: bytes) -> None:
        for old in self._sizes.added(name, len(entry)):
            self._remove(old)
        try:
            with NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(entry)
            os.replace(file.name, self._folder / name)
        except OSError:
            self._sizes.removed(name)
            with suppress(OSError, UnboundLocalError):
                os.unlink(file.name)
            raise

    def _remove(self, name: str) -> None:
        self._sizes.removed(name)
        (self._folder / name).unlink(missing_ok=True)
