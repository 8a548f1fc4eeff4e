"""Voices that users have added: their files, and a small database of whose they are.

`<folder>/voices.db` names them; `<folder>/<content>/` holds the files of each content, which is the SHA-256
over them, so that equal voices share them and no voice's files ever change.

No family takes voices from users yet: it waits for the first that does (docs/architecture.md, "Voices that
users add").
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from time import time
from typing import TypeVar

from sonorant.errors import ModelFileError, RequestError, UnknownVoiceError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TABLE = """
CREATE TABLE IF NOT EXISTS voices (
    tenant TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL, language TEXT NOT NULL,
    content TEXT NOT NULL, files TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVoice:
    """A voice of one tenant."""

    tenant: str
    name: str
    model: str
    """which speaks with it"""
    language: str
    """BCP 47"""
    content: str
    """SHA-256 over its files"""
    files: tuple[str, ...]
    """their names"""
    created: float
    """seconds since 1970"""


class VoiceStore:
    """Everything is done in a thread of its own, one thing after the other."""

    def __init__(self, folder: Path, deleted: Callable[[str, str], Awaitable[None]]) -> None:
        """`deleted` is told model and name of each voice that is gone, before its deletion returns."""
        self._folder, self._deleted = folder.expanduser(), deleted
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sonorant-voices")
        self._open: sqlite3.Connection | None = None

    async def add(
        self, *, tenant: str, name: str, model: str, language: str, files: Mapping[str, bytes]
    ) -> StoredVoice:
        """Keep a voice. Raises RequestError where the tenant has one of that name, or a name is not one."""
        for one in (name, *files):
            if not _NAME.fullmatch(one):
                raise RequestError(
                    f"{one[:80]!r} cannot be the name of a voice or of its file",
                    remedy="Use letters, digits, dots, dashes and underscores, 64 at most",
                    param="name",
                )
        hashes = {file: sha256(data).hexdigest() for file, data in sorted(files.items())}
        voice = StoredVoice(
            tenant=tenant,
            name=name,
            model=model,
            language=language,
            content=sha256(json.dumps(hashes).encode()).hexdigest(),
            files=tuple(hashes),
            created=time(),
        )
        await self._run(lambda database: self._add(database, voice, files))
        return voice

    async def get(self, tenant: str, name: str) -> StoredVoice:
        """Raises UnknownVoiceError."""
        query = "SELECT * FROM voices WHERE tenant = ? AND name = ?"
        rows = await self._run(lambda database: database.execute(query, (tenant, name)).fetchall())
        if not rows:
            raise UnknownVoiceError(
                f"There is no voice {name[:80]!r}", remedy="Name one of yours", param="voice"
            )
        return _voice(rows[0])

    async def of(self, tenant: str) -> list[StoredVoice]:
        """A tenant's voices, by name."""
        query = "SELECT * FROM voices WHERE tenant = ? ORDER BY name"
        rows = await self._run(lambda database: database.execute(query, (tenant,)).fetchall())
        return [_voice(row) for row in rows]

    async def delete(self, tenant: str, name: str) -> None:
        """Forget a voice, its files, and all that it has spoken. Raises UnknownVoiceError."""
        voice = await self.get(tenant, name)
        await self._run(lambda database: self._delete(database, voice))
        await self._deleted(voice.model, voice.name)

    def path(self, voice: StoredVoice, file: str) -> Path:
        """Where one of its files lies."""
        return self._folder / voice.content / file

    async def close(self) -> None:
        await self._run(lambda database: database.close())
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises ModelFileError where the store cannot be read or written."""

        def step() -> T:
            if self._open is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._open = sqlite3.connect(self._folder / "voices.db", timeout=5.0)
                self._open.execute(_TABLE)
            return work(self._open)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except (sqlite3.Error, OSError) as error:
            raise ModelFileError(
                f"The voices in {self._folder} cannot be used",
                why=str(error),
                remedy="Check that the folder can be written, and that voices.db is whole",
            ) from error

    def _add(self, database: sqlite3.Connection, voice: StoredVoice, files: Mapping[str, bytes]) -> None:
        place = self._folder / voice.content
        if not place.is_dir():
            draft = Path(mkdtemp(dir=self._folder, prefix=".new-"))
            try:
                for name, data in files.items():
                    (draft / name).write_bytes(data)
                draft.rename(place)
            except OSError:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        row = (voice.tenant, voice.name, voice.model, voice.language, voice.content)
        try:
            with database:
                database.execute(
                    "INSERT INTO voices VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*row, json.dumps(voice.files), voice.created),
                )
        except sqlite3.IntegrityError:
            self._sweep(database, voice.content)
            raise RequestError(
                f"There is already a voice {voice.name!r}", remedy="Choose another name", param="name"
            ) from None

    def _delete(self, database: sqlite3.Connection, voice: StoredVoice) -> None:
        with database:
            database.execute("DELETE FROM voices WHERE tenant = ? AND name = ?", (voice.tenant, voice.name))
        self._sweep(database, voice.content)

    def _sweep(self, database: sqlite3.Connection, content: str) -> None:
        """Delete files that no voice has any more."""
        if not database.execute("SELECT 1 FROM voices WHERE content = ? LIMIT 1", (content,)).fetchone():
            shutil.rmtree(self._folder / content, ignore_errors=True)


def _voice(row: tuple[str, str, str, str, str, str, float]) -> StoredVoice:
    tenant, name, model, language, content, files, created = row
    return StoredVoice(
        tenant=tenant,
        name=name,
        model=model,
        language=language,
        content=content,
        files=tuple(json.loads(files)),
        created=created,
    )
