"""Files and batches on disk: SQLite says what there is, a folder holds the bytes.

Whatever moment the process ends at, the store is whole when it is opened again. A file is there when its row
is: its bytes are written elsewhere, brought to the disk and renamed into place first, and bytes without a row
are deleted when the store opens. What becomes of a request is one transaction: the row of its audio, its
result, and the count of its batch.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from sonorant.errors import LimitError, NotFoundError, RequestError, StorageError
from sonorant.gateway.jobs.records import Answer, Batch, Fault, Line, Status, StoredFile
from sonorant.settings import JobSettings

T = TypeVar("T")

VERSION = 1
"""of the tables"""
_TABLES = """
CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
    purpose TEXT NOT NULL, filename TEXT NOT NULL, content_type TEXT NOT NULL,
    bytes INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL);
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
    input TEXT NOT NULL, ended_at INTEGER, facts TEXT NOT NULL);
CREATE TABLE results (
    batch TEXT NOT NULL, line INTEGER NOT NULL, ok INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (batch, line)) WITHOUT ROWID;
"""
_FILE = "id, tenant, purpose, filename, content_type, bytes, created_at, expires_at"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

RESULTS = "batch_output"
"""the purpose of files that batches make"""
JSONL = "application/jsonl"


def fresh_id(prefix: str) -> str:
    return f"{prefix}{uuid4().hex}"


def now() -> int:
    """Unix time."""
    return int(time.time())


class Store:
    """Everything that is kept. To be used by one thread."""

    def __init__(self, folder: Path, settings: JobSettings) -> None:
        """Opens it, and deletes what was not finished and what has expired.

        Raises StorageError where another process has it, or it cannot be used.
        """
        self.folder, self.settings = folder, settings
        self._files, self._scratch = folder / "files", folder / "scratch"
        try:
            for one in (folder, self._files, self._scratch):
                one.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            self._database = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(folder, str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._prepare()
        except BlockingIOError as error:
            self.close()
            raise StorageError(
                f"Files and batches cannot be kept in {folder}",
                why="Another server keeps its own there",
                remedy="Give this one another folder: jobs.folder, or SONORANT_JOBS__FOLDER",
            ) from error
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise _unusable(folder, str(error)) from error

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        (version,) = self._one("PRAGMA user_version") or (0,)
        if version == 0:
            self._database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"it was written by another version of Sonorant ({version})")
        known = {row[0] for row in self._database.execute("SELECT id FROM files")}
        for left in [*self._scratch.iterdir(), *(p for p in self._files.iterdir() if p.name not in known)]:
            left.unlink()
        self._bytes = int((self._one("SELECT sum(bytes) FROM files") or (0,))[0] or 0)
        self.expire()

    # files

    def scratch(self, prefix: str = "file-") -> Path:
        """Where a file can be written that is not kept yet; its name is the id that it will have."""
        return self._scratch / fresh_id(prefix)

    def check_room(self, size: int) -> None:
        """Raises LimitError where no more files of together `size` bytes can be kept."""
        if self._bytes + size > self.settings.total_bytes:
            raise LimitError(
                f"This server keeps {self.settings.total_bytes:,} bytes of files, and they are used up",
                remedy="Delete files that are not needed, or let the operator raise jobs.total_bytes",
                param="file",
            )

    def keep(self, source: Path, tenant: str, purpose: str, filename: str, seconds: int | None) -> StoredFile:
        """Take a written file over from `scratch`, for `seconds` at most. Raises LimitError."""
        size = source.stat().st_size
        self.check_room(size)
        query = "SELECT count(*) FROM files WHERE tenant = ? AND purpose <> ?"
        if (self._one(query, tenant, RESULTS) or (0,))[0] >= self.settings.files:
            raise LimitError(
                f"There are {self.settings.files:,} uploaded files here already, as many as may be kept",
                remedy="Delete some that are not needed, or let the operator raise jobs.files",
                param="file",
            )
        file = self._file_of(source, tenant, purpose, filename, JSONL if purpose == "batch" else "", seconds)
        with self._database:
            self._database.execute("BEGIN")
            self._insert(file)
        return file

    def file(self, id: str, tenant: str) -> tuple[StoredFile, Path]:
        """A file and where its bytes are. Raises NotFoundError."""
        row = self._one(f"SELECT {_FILE} FROM files WHERE id = ? AND tenant = ?", _sane(id), tenant)  # noqa: S608
        if row is None or row[-1] <= now():
            raise _missing(id, "file")
        return _stored(row), self._files / str(row[0])

    def files(
        self, tenant: str, limit: int, *, after: str = "", purpose: str = "", oldest_first: bool = False
    ) -> tuple[list[StoredFile], bool]:
        """A page of them, and whether there are more."""
        where, values = "tenant = ? AND expires_at > ?", [tenant, now()]
        if purpose:
            where, values = where + " AND purpose = ?", [*values, _text(purpose)]
        rows, more = self._page("files", _FILE, where, values, limit, after, oldest_first=oldest_first)
        return [_stored(row) for row in rows], more

    def delete(self, id: str, tenant: str) -> None:
        """Raises NotFoundError, and RequestError while a batch still reads it."""
        file, _ = self.file(id, tenant)
        if self._one("SELECT 1 FROM batches WHERE input = ? AND ended_at IS NULL", file.id):
            raise RequestError(
                f"The file {file.id} is the input of a batch that has not ended",
                remedy="Wait until it has, or cancel it",
                param="file_id",
            )
        self._drop([(file.id, file.bytes)])

    # batches

    def create(self, batch: Batch) -> Batch:
        """Raises NotFoundError where its input is not here, RequestError where it is no input, LimitError."""
        file, _ = self.file(batch.input_file_id, batch.tenant)
        if file.purpose != "batch":
            raise RequestError(
                f"The file {file.id} was uploaded for {file.purpose!r}",
                remedy='Upload the list of requests with purpose "batch"',
                param="input_file_id",
            )
        query = "SELECT count(*) FROM batches WHERE tenant = ? AND ended_at IS NULL"
        if (self._one(query, batch.tenant) or (0,))[0] >= self.settings.batches:
            raise LimitError(
                f"There are {self.settings.batches:,} unfinished batches here already",
                remedy="Wait until some have ended, or let the operator raise jobs.batches",
            )
        values = (batch.id, batch.tenant, batch.input_file_id, None, _facts(batch))
        statement = "INSERT INTO batches (id, tenant, input, ended_at, facts) VALUES (?, ?, ?, ?, ?)"
        self._database.execute(statement, values)
        return batch

    def batch(self, id: str, tenant: str | None = None) -> Batch:
        """One batch; `tenant` = only if it is this one's. Raises NotFoundError."""
        row = self._one("SELECT facts, tenant FROM batches WHERE id = ?", _sane(id))
        if row is None or tenant not in (None, row[1]):
            raise _missing(id, "batch")
        return _batch(row[0])

    def batches(self, tenant: str, limit: int, after: str = "") -> tuple[list[Batch], bool]:
        """A page of them, the newest first, and whether there are more."""
        rows, more = self._page("batches", "facts", "tenant = ?", [tenant], limit, after)
        return [_batch(row[0]) for row in rows], more

    def unfinished(self) -> list[str]:
        """The ids of all batches that have not ended, the oldest first."""
        query = "SELECT id FROM batches WHERE ended_at IS NULL ORDER BY seq"
        return [row[0] for row in self._database.execute(query)]

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
        return {n for (n,) in self._database.execute("SELECT line FROM results WHERE batch = ?", (id,))}

    def record(self, id: str, line: Line, answer: Answer) -> None:
        """Keep what became of a request; one that has an answer already keeps that."""
        if self._one("SELECT 1 FROM results WHERE batch = ? AND line = ?", id, line.number):
            return
        batch = self.batch(id)
        file = None
        if answer.audio is not None:
            name = f"{line.custom_id}{answer.ending}"
            file = self._file_of(
                answer.audio, batch.tenant, RESULTS, name, answer.content_type, batch.keep_seconds
            )
        record = json.dumps({"id": fresh_id("batch_req_"), **answer.record})
        completed, failed = batch.completed + answer.ok, batch.failed + (not answer.ok)
        with self._database:
            self._database.execute("BEGIN")
            if file is not None:
                self._insert(file)
            values = (id, line.number, answer.ok, record)
            self._database.execute("INSERT INTO results VALUES (?, ?, ?, ?)", values)
            self._update(batch, completed=completed, failed=failed)

    def finish(self, id: str, status: Status) -> Batch:
        """Write the results of a batch to the files that hold them from now on."""
        batch = self.batch(id)
        files: dict[str, StoredFile] = {}
        for field, ok in (("output_file_id", 1), ("error_file_id", 0)):
            path = self.scratch()
            lines = 0
            rows = "SELECT record FROM results WHERE batch = ? AND ok = ? ORDER BY line"
            with (
                path.open("x", encoding="utf-8") as file,
                closing(self._database.execute(rows, (id, ok))) as found,
            ):
                for (record,) in found:
                    file.write(f"{record}\n")
                    lines += 1
            if not lines:
                path.unlink()
                continue
            on_disk(path)
            name = f"{id}_{'output' if ok else 'error'}.jsonl"
            files[field] = self._file_of(path, batch.tenant, RESULTS, name, JSONL, batch.keep_seconds)
        with self._database:
            self._database.execute("BEGIN")
            for stored in files.values():
                self._insert(stored)
            self._database.execute("DELETE FROM results WHERE batch = ?", (id,))
            ids = {field: stored.id for field, stored in files.items()}
            return self._update(batch, status=status, **ids, **{f"{status}_at": now()})

    def expire(self) -> None:
        """Delete what has been kept long enough."""
        used = "SELECT input FROM batches WHERE ended_at IS NULL"
        rows = f"SELECT id, bytes FROM files WHERE expires_at <= ? AND id NOT IN ({used})"  # noqa: S608
        self._drop(self._database.execute(rows, (now(),)).fetchall())
        self._database.execute("DELETE FROM batches WHERE ended_at <= ?", (now() - self._kept_seconds(),))

    # below

    def _update(self, batch: Batch, **changes: Any) -> Batch:
        batch = replace(batch, **changes)
        ended = now() if batch.status.ended else None
        statement = "UPDATE batches SET facts = ?, ended_at = ? WHERE id = ?"
        self._database.execute(statement, (_facts(batch), ended, batch.id))
        return batch

    def _kept_seconds(self) -> int:
        return round(self.settings.days * 86_400)

    def _file_of(
        self, source: Path, tenant: str, purpose: str, filename: str, content_type: str, seconds: int | None
    ) -> StoredFile:
        """Move bytes that are on the disk to where they are kept; their row is still to be written."""
        size, longest = source.stat().st_size, self._kept_seconds()
        os.replace(source, self._files / source.name)
        on_disk(self._files)
        return StoredFile(
            id=source.name,
            tenant=tenant,
            purpose=purpose,
            filename=_text(filename),
            content_type=content_type or "application/octet-stream",
            bytes=size,
            created_at=now(),
            expires_at=now() + min(longest, seconds or longest),
        )

    def _insert(self, file: StoredFile) -> None:
        fields = asdict(file)
        marks = ", ".join(f":{name}" for name in fields)
        self._database.execute(f"INSERT INTO files ({', '.join(fields)}) VALUES ({marks})", fields)  # noqa: S608
        self._bytes += file.bytes

    def _drop(self, files: list[tuple[str, int]]) -> None:
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("DELETE FROM files WHERE id = ?", [file[:1] for file in files])
        for name, size in files:
            self._bytes -= size
            (self._files / name).unlink(missing_ok=True)

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row

    def _page(
        self,
        table: str,
        columns: str,
        where: str,
        values: list[Any],
        limit: int,
        after: str,
        *,
        oldest_first: bool = False,
    ) -> tuple[list[tuple[Any, ...]], bool]:
        order, beyond = ("ASC", ">") if oldest_first else ("DESC", "<")
        if after:
            row = self._one(f"SELECT seq FROM {table} WHERE id = ? AND tenant = ?", _sane(after), values[0])  # noqa: S608
            if row is None:
                raise _missing(after, "file" if table == "files" else "batch")
            where, values = f"{where} AND seq {beyond} ?", [*values, row[0]]
        query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608
        rows = self._database.execute(query, (*values, limit + 1)).fetchall()
        return rows[:limit], len(rows) > limit


def on_disk(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def pieces(path: Path, size: int = 2**18) -> Iterator[bytes]:
    """The bytes of a file, `size` at a time. Once begun, the file may be deleted."""
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece


def _stored(row: tuple[Any, ...]) -> StoredFile:
    return StoredFile(**dict(zip(_FILE.split(", "), row, strict=True)))


def _facts(batch: Batch) -> str:
    return json.dumps(asdict(batch))


def _batch(facts: str) -> Batch:
    fields = json.loads(facts)
    fields["status"] = Status(fields["status"])
    fields["faults"] = tuple(Fault(**fault) for fault in fields["faults"])
    return Batch(**fields)


def _sane(id: str) -> str:
    """An id, or nothing that any row has."""
    return id if _ID.fullmatch(id) else ""


def _text(text: str) -> str:
    """Without halves of surrogate pairs, which no database and no header takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _missing(id: str, kind: str) -> NotFoundError:
    shown = _text(id if len(id) <= 80 else id[:80] + "…")
    if kind == "file":
        return NotFoundError(
            f"There is no file {shown!r} here", remedy="GET /v1/files lists those that are", param="file_id"
        )
    return NotFoundError(
        f"There is no batch {shown!r} here", remedy="GET /v1/batches lists those that are", param="batch_id"
    )


def _unusable(folder: Path, why: str) -> StorageError:
    return StorageError(
        f"Files and batches cannot be kept in {folder}", why=why, remedy="Choose another folder: jobs.folder"
    )
