"""The store, off the event loop, and the batches that run while the server does."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sonorant.errors import SonorantError, StorageError
from sonorant.gateway.jobs.records import Answering, Batch
from sonorant.gateway.jobs.runner import Run
from sonorant.gateway.jobs.store import Store
from sonorant.settings import JobSettings
from sonorant.tasks import Upload

P = ParamSpec("P")
T = TypeVar("T")

EXPIRY_SECONDS = 600.0
"""between looks for files and batches that have been kept long enough"""
STORAGE_SECONDS = 30.0
"""until a batch is tried again that the disk stopped, or a fault"""
STOPPING_SECONDS = 10.0
"""how long work that is cancelled may take to end"""

log = logging.getLogger("sonorant.jobs")


class Jobs:
    """Files and batches. Use it while `running` is entered; before and after it refuses with StorageError."""

    def __init__(self, folder: Path, settings: JobSettings, answering: Answering, longest_line: int) -> None:
        self.folder, self.settings = folder, settings
        self._answering, self._longest_line = answering, longest_line
        self._store: Store | None = None
        self._fault: SonorantError = StorageError(
            "Files and batches are not kept yet", remedy="Try again when the server has started"
        )
        self._runs: dict[str, asyncio.Task[None]] = {}
        self.places = asyncio.Semaphore(settings.concurrency)
        """one for each request of any batch that may run at a time"""
        # one thread: what is asked first is done first, and nothing meets a half of something else
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sonorant-jobs")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Go on with every batch that has not ended. At the end they stop, and their next start goes on."""
        try:
            self._store = await self._call(Store, self.folder, self.settings)
        except StorageError as error:
            self._fault = error
            log.error("%s", error)
        tasks: set[asyncio.Task[None]] = set()
        try:
            if self._store is not None:
                for batch in await self.ask(Store.unfinished):
                    self._begin(batch)
                tasks.add(asyncio.create_task(self._expire()))
            yield
        finally:
            tasks |= set(self._runs.values())
            for task in tasks:
                task.cancel()
            if tasks:
                _, stuck = await asyncio.wait(tasks, timeout=STOPPING_SECONDS)
                if stuck:
                    log.error("%d batches did not stop within %s s", len(stuck), STOPPING_SECONDS)
            if self._store is not None:
                store, self._store = self._store, None
                await self._call(store.rest)
                await self._call(store.close)
            self._thread.shutdown(wait=False)

    def take(self, settings: JobSettings, longest_line: int) -> None:
        """What counts from now on; a batch that has begun goes on as many at a time as it did, or fewer."""
        if settings.concurrency != self.settings.concurrency:
            self.places = asyncio.Semaphore(settings.concurrency)
        self.settings, self._longest_line = settings, longest_line
        if self._store is not None:
            self._store.settings = self._store.files.settings = settings

    async def ask(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **words: P.kwargs) -> T:
        """`work` with the store, in its thread → its result. Raises what it raises, and StorageError."""
        if self._store is None:
            raise self._fault
        return await self._call(partial(work, self._store), *args, **words)

    async def create(self, batch: Batch) -> Batch:
        """Take a batch on. Raises as `Store.create`."""
        created = await self.ask(Store.create, batch)
        self._begin(created.id)
        return created

    async def cancel(self, id: str, tenant: str) -> Batch:
        """Stop a batch; what is done stays. Raises as `Store.cancel`."""
        batch = await self.ask(Store.cancel, id, tenant)
        self._begin(id, self._runs.get(id))
        return batch

    # what answers need: records.Desk

    async def upload(self, id: str, tenant: str) -> Upload:
        file, path = await self.ask(lambda store: store.files.find(id, tenant))
        return Upload(path, file.filename)

    async def scratch(self) -> Path:
        return await self.ask(lambda store: store.files.scratch())

    async def check_room(self, size: int) -> None:
        await self.ask(lambda store: store.files.check_room(size))

    def _begin(self, id: str, before: asyncio.Task[None] | None = None) -> None:
        """Go on with a batch, in place of a run of it that is not to go on."""
        task = asyncio.create_task(self._run(id, before))
        self._runs[id] = task
        task.add_done_callback(lambda ended: self._forget(id, ended))

    def _forget(self, id: str, ended: asyncio.Task[None]) -> None:
        if self._runs.get(id) is ended:
            del self._runs[id]

    async def _run(self, id: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            before.cancel()
            await asyncio.wait({before}, timeout=STOPPING_SECONDS)
        while True:
            try:
                await Run(id, self, self._answering, self._longest_line).to_its_end()
                return
            except StorageError as error:
                log.error("batch %s waits %s s: %s", id, STORAGE_SECONDS, error)
            except Exception:  # a fault of ours must not leave it standing
                log.exception("batch %s waits %s s", id, STORAGE_SECONDS)
            await asyncio.sleep(STORAGE_SECONDS)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            try:
                await self.ask(Store.expire)
            except StorageError as error:
                log.error("what has expired could not be deleted: %s", error)

    async def _call(self, work: Callable[P, T], *args: P.args, **words: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, partial(work, *args, **words))
        except SonorantError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"Files and batches cannot be kept in {self.folder}",
                why=str(error),
                remedy="Make room there, or choose another folder: jobs.folder",
            ) from error
