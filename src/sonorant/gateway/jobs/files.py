"""The files that are kept: a row says that one is there, a folder holds its bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sonorant.errors import LimitError, RequestError
from sonorant.gateway.jobs.database import Database, Row, fresh_id, missing, now, plain, sane
from sonorant.gateway.jobs.records import StoredFile
from sonorant.settings import JobSettings

RESULTS = "batch_output"
"""the purpose of files that batches make"""
JSONL = "application/jsonl"
BYTES = "application/octet-stream"
"""what every other upload is sent back as: what its sender called it could make a browser run it"""

_COLUMNS = "id, tenant, purpose, filename, content_type, bytes, created_at, expires_at"


class Files:
    """Of a store. Bytes are written in `scratch`, brought to the disk and moved before their row is written;
    those without a row are deleted when the store opens."""

    def __init__(self, database: Database, folder: Path, settings: JobSettings) -> None:
        self._database, self.settings = database, settings
        self._folder, self._scratch = folder / "files", folder / "scratch"
        for one in (self._folder, self._scratch):
            one.mkdir(exist_ok=True, mode=0o700)
        known = {row[0] for row in database.run("SELECT id FROM files")}
        unknown = [path for path in self._folder.iterdir() if path.name not in known]
        for left in [*self._scratch.iterdir(), *unknown]:
            left.unlink()
        self._bytes = database.number("SELECT sum(bytes) FROM files")
        """of all files"""

    def scratch(self) -> Path:
        """Where a file can be written that is not kept yet; its name is the id that it will have."""
        return self._scratch / fresh_id("file-")

    def check_room(self, size: int) -> None:
        """Raises LimitError where no more files of together `size` bytes can be kept."""
        if self._bytes + size > self.settings.total_bytes:
            raise LimitError(
                f"This server keeps {self.settings.total_bytes:,} bytes of files, and they are used up",
                remedy="Delete files that are not needed, or let the operator raise jobs.total_bytes",
                param="file",
            )

    def keep(self, source: Path, tenant: str, purpose: str, filename: str, seconds: int | None) -> StoredFile:
        """Take an upload over from `scratch`, for `seconds` at most. Raises LimitError."""
        self.check_room(source.stat().st_size)
        query = "SELECT count(*) FROM files WHERE tenant = ? AND purpose <> ?"
        if self._database.number(query, tenant, RESULTS) >= self.settings.files:
            raise LimitError(
                f"There are {self.settings.files:,} uploaded files here already, as many as may be kept",
                remedy="Delete some that are not needed, or let the operator raise jobs.files",
                param="file",
            )
        file = self.moved(source, tenant, purpose, filename, JSONL if purpose == "batch" else BYTES, seconds)
        self.insert(file)
        return file

    def moved(
        self, source: Path, tenant: str, purpose: str, filename: str, content_type: str, seconds: int | None
    ) -> StoredFile:
        """Move bytes that are on the disk to where they are kept, and say what is to be inserted."""
        longest = round(self.settings.days * 86_400)
        size = source.stat().st_size
        os.replace(source, self._folder / source.name)
        on_disk(self._folder)
        return StoredFile(
            id=source.name,
            tenant=tenant,
            purpose=purpose,
            filename=plain(filename),
            content_type=content_type,
            bytes=size,
            created_at=now(),
            expires_at=now() + min(longest, seconds or longest),
        )

    def insert(self, file: StoredFile) -> None:
        values = asdict(file)
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO files ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
        self._database.run(statement, *values.values())
        self._bytes += file.bytes

    def find(self, id: str, tenant: str) -> tuple[StoredFile, Path]:
        """A file and where its bytes are. Raises NotFoundError."""
        query = f"SELECT {_COLUMNS} FROM files WHERE id = ? AND tenant = ? AND expires_at > ?"  # noqa: S608
        row = self._database.one(query, sane(id), tenant, now())
        if row is None:
            raise missing(id, "files")
        file = _file(row)
        return file, self.path(file.id)

    def path(self, id: str) -> Path:
        """Where the bytes of a file are."""
        return self._folder / id

    def page(
        self, tenant: str, limit: int, *, after: str = "", purpose: str = "", oldest_first: bool = False
    ) -> tuple[list[StoredFile], bool]:
        """Some of them, and whether there are more. Raises NotFoundError for `after`."""
        where: dict[str, object] = {"tenant = ?": tenant, "expires_at > ?": now()}
        if purpose:
            where["purpose = ?"] = plain(purpose)
        page = self._database.page("files", _COLUMNS, where, limit, after, oldest_first=oldest_first)
        return [_file(row) for row in page[0]], page[1]

    def delete(self, id: str, tenant: str) -> None:
        """Raises NotFoundError, and RequestError while a batch still reads it."""
        file, _ = self.find(id, tenant)
        if self._database.one("SELECT 1 FROM batches WHERE input = ? AND ended_at IS NULL", file.id):
            raise RequestError(
                f"The file {file.id} is the input of a batch that has not ended",
                remedy="Wait until it has, or cancel it",
                param="file_id",
            )
        self._drop([(file.id, file.bytes)])

    def expire(self) -> None:
        """Delete those that have been kept long enough and are no input of a batch that runs."""
        used = "SELECT input FROM batches WHERE ended_at IS NULL"
        query = f"SELECT id, bytes FROM files WHERE expires_at <= ? AND id NOT IN ({used})"  # noqa: S608
        self._drop(self._database.run(query, now()).fetchall())

    def _drop(self, files: list[Row]) -> None:
        with self._database.transaction():
            for name, _ in files:
                self._database.run("DELETE FROM files WHERE id = ?", name)
        for name, size in files:
            self._bytes -= size
            (self._folder / name).unlink(missing_ok=True)


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


def _file(row: Row) -> StoredFile:
    return StoredFile(**dict(zip(_COLUMNS.split(", "), row, strict=True)))
