"""Batches, their results and their files on disk.

Whatever moment the process ends at, the store is whole when it is opened again. What becomes of a request is
one transaction: the row of its audio, its result, and the count of its batch.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sonorant.errors import LimitError, RequestError
from sonorant.gateway.jobs.database import Database, fresh_id, missing, now, sane
from sonorant.gateway.jobs.files import JSONL, RESULTS, Files, on_disk
from sonorant.gateway.jobs.records import Answer, Batch, Fault, Line, Status, StoredFile
from sonorant.settings import JobSettings


class Store:
    """Everything that is kept. To be used by one thread."""

    def __init__(self, folder: Path, settings: JobSettings) -> None:
        """Opens it, and deletes what was not finished and what has expired.

        Raises StorageError where another process has it, or it cannot be used.
        """
        self.settings = settings
        self._database = Database(folder)
        try:
            self.files = Files(self._database, folder, settings)
            self._database.run("UPDATE attempts SET deaths = deaths + 1, running = 0 WHERE running")
            self.expire()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._database.close()

    def rest(self) -> None:
        """Say that nothing runs any more: the end of the process that follows is nobody's fault."""
        self._database.run("UPDATE attempts SET running = 0")

    def create(self, batch: Batch) -> Batch:
        """Raises NotFoundError where its input is not here, RequestError where it is no input, LimitError."""
        file, _ = self.files.find(batch.input_file_id, batch.tenant)
        if file.purpose != "batch":
            raise RequestError(
                f"The file {file.id} was uploaded for {file.purpose!r}",
                remedy='Upload the list of requests with purpose "batch"',
                param="input_file_id",
            )
        query = "SELECT count(*) FROM batches WHERE tenant = ? AND ended_at IS NULL"
        if self._database.number(query, batch.tenant) >= self.settings.batches:
            raise LimitError(
                f"There are {self.settings.batches:,} unfinished batches here already",
                remedy="Wait until some have ended, or let the operator raise jobs.batches",
            )
        statement = "INSERT INTO batches (id, tenant, input, facts) VALUES (?, ?, ?, ?)"
        self._database.run(statement, batch.id, batch.tenant, batch.input_file_id, _facts(batch))
        return batch

    def batch(self, id: str, tenant: str | None = None) -> Batch:
        """One batch; `tenant` = only if it is this one's. Raises NotFoundError."""
        row = self._database.one("SELECT facts, tenant FROM batches WHERE id = ?", sane(id))
        if row is None or tenant not in (None, row[1]):
            raise missing(id, "batches")
        return _batch(row[0])

    def batches(self, tenant: str, limit: int, after: str = "") -> tuple[list[Batch], bool]:
        """A page of them, the newest first, and whether there are more."""
        rows, more = self._database.page(
            "batches", "facts", {"tenant = ?": tenant}, limit, after, oldest_first=False
        )
        return [_batch(row[0]) for row in rows], more

    def input(self, id: str) -> Path:
        """Where the requests of a batch are: its input is kept until it has ended."""
        return self.files.path(self.batch(id).input_file_id)

    def unfinished(self) -> list[str]:
        """The ids of all batches that have not ended, the oldest first."""
        query = "SELECT id FROM batches WHERE ended_at IS NULL ORDER BY seq"
        return [row[0] for row in self._database.run(query)]

    def advance(self, id: str, status: Status, **changes: Any) -> Batch:
        """Say where a batch stands now. One that is being cancelled goes nowhere else than to its end."""
        batch = self.batch(id)
        if batch.status.ended or (batch.status is Status.CANCELLING and not status.ended):
            return batch
        return self._update(batch, status=status, **{f"{status}_at": now()}, **changes)

    def cancel(self, id: str, tenant: str) -> Batch:
        """Say that it is to end. Raises NotFoundError, and RequestError where it has ended already."""
        batch = self.batch(id, tenant)
        if batch.status.ended:
            raise RequestError(
                f"The batch {id} cannot be cancelled",
                why=f"It is {batch.status} already",
                param="batch_id",
            )
        if batch.status is Status.CANCELLING:
            return batch
        return self._update(batch, status=Status.CANCELLING, cancelling_at=now())

    def done(self, id: str) -> set[int]:
        """The numbers of its lines that have an answer."""
        return {n for (n,) in self._database.run("SELECT line FROM results WHERE batch = ?", id)}

    def deaths(self, id: str) -> dict[int, int]:
        """How often the process died while a line ran, for those where it did."""
        query = "SELECT line, deaths FROM attempts WHERE batch = ? AND deaths > 0"
        return dict(self._database.run(query, id).fetchall())

    def attempt(self, id: str, line: int, *, running: bool) -> None:
        """Say that a line runs from now on, or that it waits."""
        insert = "INSERT INTO attempts (batch, line, running) VALUES (?, ?, ?)"
        self._database.run(
            f"{insert} ON CONFLICT DO UPDATE SET running = excluded.running", id, line, running
        )

    def record(self, id: str, line: Line, answer: Answer) -> None:
        """Keep what became of a request. What has an answer already, or a batch that has ended, stays so."""
        batch = self.batch(id)
        query = "SELECT 1 FROM results WHERE batch = ? AND line = ?"
        if batch.status.ended or self._database.one(query, id, line.number):
            if answer.audio is not None:
                answer.audio.unlink(missing_ok=True)
            return
        file = None
        if answer.audio is not None:
            name = f"{line.custom_id}{answer.ending}"
            file = self.files.moved(
                answer.audio, batch.tenant, RESULTS, name, answer.content_type, batch.keep_seconds
            )
        record = json.dumps({"id": fresh_id("batch_req_"), **answer.record})
        completed, failed = batch.completed + answer.ok, batch.failed + (not answer.ok)
        with self._database.transaction():
            if file is not None:
                self.files.insert(file)
            statement = "INSERT INTO results VALUES (?, ?, ?, ?)"
            self._database.run(statement, id, line.number, answer.ok, record)
            self._database.run("DELETE FROM attempts WHERE batch = ? AND line = ?", id, line.number)
            self._update(batch, completed=completed, failed=failed)

    def finish(self, id: str, status: Status) -> Batch:
        """Write the results of a batch to the files that hold them from now on."""
        batch = self.batch(id)
        files: dict[str, StoredFile] = {}
        for field, ok in (("output_file_id", 1), ("error_file_id", 0)):
            path = self.files.scratch()
            lines = 0
            rows = "SELECT record FROM results WHERE batch = ? AND ok = ? ORDER BY line"
            with (
                path.open("x", encoding="utf-8") as file,
                closing(self._database.run(rows, id, ok)) as found,
            ):
                for (record,) in found:
                    file.write(f"{record}\n")
                    lines += 1
            if not lines:
                path.unlink()
                continue
            on_disk(path)
            name = f"{id}_{'output' if ok else 'error'}.jsonl"
            files[field] = self.files.moved(path, batch.tenant, RESULTS, name, JSONL, batch.keep_seconds)
        with self._database.transaction():
            for stored in files.values():
                self.files.insert(stored)
            self._database.run("DELETE FROM results WHERE batch = ?", id)
            self._database.run("DELETE FROM attempts WHERE batch = ?", id)
            ids = {field: stored.id for field, stored in files.items()}
            return self._update(batch, status=status, **ids, **{f"{status}_at": now()})

    def expire(self) -> None:
        """Delete what has been kept long enough."""
        self.files.expire()
        longest = round(self.settings.days * 86_400)
        self._database.run("DELETE FROM batches WHERE ended_at <= ?", now() - longest)

    def _update(self, batch: Batch, **changes: Any) -> Batch:
        batch = replace(batch, **changes)
        ended = now() if batch.status.ended else None
        statement = "UPDATE batches SET facts = ?, ended_at = ? WHERE id = ?"
        self._database.run(statement, _facts(batch), ended, batch.id)
        return batch


def _facts(batch: Batch) -> str:
    return json.dumps(asdict(batch))


def _batch(facts: str) -> Batch:
    fields = json.loads(facts)
    fields["status"] = Status(fields["status"])
    fields["faults"] = tuple(Fault(**fault) for fault in fields["faults"])
    return Batch(**fields)
