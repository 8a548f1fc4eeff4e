"""What there is, in SQLite, in a folder that one process has at a time."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sonorant.errors import NotFoundError, StorageError

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
CREATE TABLE attempts (
    batch TEXT NOT NULL, line INTEGER NOT NULL, deaths INTEGER NOT NULL DEFAULT 0, running INTEGER NOT NULL,
    PRIMARY KEY (batch, line)) WITHOUT ROWID;
"""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Row = tuple[Any, ...]


class Database:
    """To be used by one thread."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder and the tables. Raises StorageError where another process has it, or it fails."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            self._connection = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None)
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
        self._connection.close()
        os.close(self._lock)

    def _prepare(self) -> None:
        self.run("PRAGMA journal_mode = WAL")
        self.run("PRAGMA synchronous = FULL")
        version = self.number("PRAGMA user_version")
        if version == 0:
            self._connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"it was written by another version of Sonorant ({version})")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is run in it, or nothing."""
        with self._connection:
            self.run("BEGIN")
            yield

    def run(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def one(self, query: str, *values: object) -> Row | None:
        row: Row | None = self.run(query, *values).fetchone()
        return row

    def number(self, query: str, *values: object) -> int:
        """Of one row with one number; where it is NULL, 0."""
        row = self.one(query, *values)
        return int(row[0] or 0) if row else 0

    def page(
        self,
        table: str,
        columns: str,
        where: dict[str, object],
        limit: int,
        after: str,
        *,
        oldest_first: bool,
    ) -> tuple[list[Row], bool]:
        """The rows that follow the one with the id `after`, and whether there are more.

        `where`: conditions with one value each; the first is that of the tenant. Raises NotFoundError.
        """
        order, beyond = ("ASC", ">") if oldest_first else ("DESC", "<")
        if after:
            tenant = next(iter(where.values()))
            query = f"SELECT seq FROM {table} WHERE id = ? AND tenant = ?"  # noqa: S608
            row = self.one(query, sane(after), tenant)
            if row is None:
                raise missing(after, table)
            where = where | {f"seq {beyond} ?": row[0]}
        query = f"SELECT {columns} FROM {table} WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"  # noqa: S608
        rows = self.run(query, *where.values(), limit + 1).fetchall()
        return rows[:limit], len(rows) > limit


def fresh_id(prefix: str) -> str:
    return f"{prefix}{uuid4().hex}"


def now() -> int:
    """Unix time."""
    return int(time.time())


def sane(id: str) -> str:
    """An id, or nothing that any row has."""
    return id if _ID.fullmatch(id) else ""


def plain(text: str) -> str:
    """Without halves of surrogate pairs, which no database and no header takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def missing(id: str, table: str) -> NotFoundError:
    """That a table has no row with that id."""
    shown = plain(id if len(id) <= 80 else id[:80] + "…")
    if table == "files":
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
