"""One batch, from wherever it stands to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sonorant.errors import BusyError, NotReadyError
from sonorant.gateway.jobs import lines
from sonorant.gateway.jobs.database import now
from sonorant.gateway.jobs.records import Answer, Answering, Batch, Desk, Fault, Line, Status
from sonorant.gateway.jobs.store import Store
from sonorant.locale import translated
from sonorant.settings import JobSettings

T = TypeVar("T")

BUSY_SECONDS, LOADING_SECONDS = 1.0, 5.0
"""until a request is tried again that the gateway refused, or whose model loads"""

DEATHS = 3
"""of the process while a request ran, after which it is not tried again: it may be what kills it"""

log = logging.getLogger("sonorant.jobs")


class Office(Desk, Protocol):
    """What a run needs of `Jobs`."""

    settings: JobSettings
    places: asyncio.Semaphore

    async def ask(self, work: Callable[..., T], *args: object, **words: object) -> T: ...


class Run:
    """The work on one batch. Cancelled, it leaves the batch so that another run can go on with it."""

    def __init__(self, id: str, office: Office, answering: Answering, longest_line: int) -> None:
        self.id = id
        self._office, self._answering = office, answering
        self._longest_line = longest_line

    async def to_its_end(self) -> None:
        """Raises StorageError where the disk stops it."""
        while not (batch := await self._ask(Store.batch)).status.ended:
            match batch.status:
                case Status.VALIDATING:
                    await self._validate(batch)
                case Status.IN_PROGRESS:
                    await self._progress(batch)
                case Status.FINALIZING:
                    await self._ask(Store.finish, Status.COMPLETED)
                case Status.CANCELLING:
                    await self._ask(Store.finish, Status.CANCELLED)
        log.info("batch %s: %s, %d done, %d failed", self.id, batch.status, batch.completed, batch.failed)

    async def _validate(self, batch: Batch) -> None:
        most = self._office.settings.lines
        try:
            path = await self._ask(Store.input)
            checked = asyncio.to_thread(lines.check, path, batch.endpoint, self._longest_line, most)
            total, faults = await checked
        except FileNotFoundError:
            total, faults = 0, (Fault("file_not_found", "The input file is not there any more."),)
        if faults:
            await self._ask(Store.advance, Status.FAILED, faults=faults)
        else:
            await self._ask(Store.advance, Status.IN_PROGRESS, total=total)

    async def _progress(self, batch: Batch) -> None:
        try:
            async with asyncio.timeout(batch.expires_at - now()):
                await self._answer_all(batch)
        except TimeoutError:
            await self._give_up(batch)
            await self._ask(Store.finish, Status.EXPIRED)
        else:
            await self._ask(Store.advance, Status.FINALIZING)

    async def _answer_all(self, batch: Batch) -> None:
        """First what ran when the process died, one after another: that shows which was at fault."""
        deaths = await self._ask(Store.deaths)
        await self._work(
            batch, _Left(line for line in await self._lines(batch) if line.number in deaths), deaths
        )
        left = _Left(await self._lines(batch))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._office.settings.concurrency):
                    group.create_task(self._work(batch, left, deaths))
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def _work(self, batch: Batch, left: _Left, deaths: Mapping[int, int]) -> None:
        while (line := await left.next()) is not None:
            if deaths.get(line.number, 0) >= DEATHS:
                await self._ask(Store.record, line, _quarantined(batch, line))
                continue
            answer = await self._answered(batch, line)
            # what is done is kept, even where the run is cancelled meanwhile
            await _to_its_end(self._ask(Store.record, line, answer))

    async def _answered(self, batch: Batch, line: Line) -> Answer:
        while True:
            try:
                async with self._office.places:
                    await self._ask(Store.attempt, line.number, running=True)
                    return await self._answering(batch, line, self._office)
            except BusyError:
                seconds = BUSY_SECONDS
            except NotReadyError:
                seconds = LOADING_SECONDS
            await self._ask(Store.attempt, line.number, running=False)
            await asyncio.sleep(seconds)

    async def _give_up(self, batch: Batch) -> None:
        """Say of every request that has no answer that there was no time for it."""
        left = _Left(await self._lines(batch))
        message = translated(f"It was not done within {batch.window}.", batch.language)
        while (line := await left.next()) is not None:
            await self._ask(Store.record, line, _unanswered(line, "batch_expired", message))

    async def _lines(self, batch: Batch) -> Iterator[Line]:
        """Those that have no answer yet."""
        done = await self._ask(Store.done)
        return _without(await self._ask(Store.input), batch.endpoint, self._longest_line, done)

    async def _ask(self, method: Callable[..., T], *args: object, **words: object) -> T:
        return await self._office.ask(method, self.id, *args, **words)


def _quarantined(batch: Batch, line: Line) -> Answer:
    message = translated(f"The server died {DEATHS} times while it ran.", batch.language)
    return _unanswered(line, "quarantined", message)


def _unanswered(line: Line, code: str, message: str) -> Answer:
    record = {"custom_id": line.custom_id, "response": None, "error": {"code": code, "message": message}}
    return Answer(ok=False, record=record)


class _Left:
    """The lines that are left, one after another, for several workers."""

    def __init__(self, them: Iterator[Line]) -> None:
        self._them, self._taking = them, asyncio.Lock()

    async def next(self) -> Line | None:
        async with self._taking:
            return await _to_its_end(asyncio.to_thread(next, self._them, None))


def _without(path: Path, endpoint: str, longest: int, done: set[int]) -> Iterator[Line]:
    for line in lines.lines(path, endpoint, longest):
        if isinstance(line, Line) and line.number not in done:
            yield line


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Its result; cancelled, it is waited for nevertheless. Only for what takes a moment."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):  # the run ends in any case, and the next one meets the same fault
            await task
        raise
