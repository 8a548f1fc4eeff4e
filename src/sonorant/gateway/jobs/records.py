"""What is kept of files and batches."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from sonorant.tasks import Upload


class Status(StrEnum):
    """Where a batch stands, in OpenAI's words."""

    VALIDATING = "validating"
    FAILED = "failed"
    """its input is no list of requests; nothing was done"""
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    """all is done, and the results are being written"""
    COMPLETED = "completed"
    EXPIRED = "expired"
    """its time was over before all was done"""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (Status.FAILED, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that is kept under an id."""

    id: str
    tenant: str
    purpose: str
    filename: str
    """what its sender, or its batch, calls it; never opened"""
    content_type: str
    bytes: int
    created_at: int
    """Unix time"""
    expires_at: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an input is no list of requests."""

    code: str
    message: str
    line: int | None = None
    """counted from 1"""
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Requests that are answered when there is time for them."""

    id: str
    tenant: str
    endpoint: str
    """the path that all requests ask"""
    input_file_id: str
    window: str
    """in which it is to be done, as it was asked for: "24h\""""
    created_at: int
    """Unix time, as all the others"""
    expires_at: int
    """the end of that window: what is not done then never is"""
    metadata: dict[str, str] | None = None
    language: str = "en"
    """in which the errors of its requests are written"""
    keep_seconds: int | None = None
    """how long its results are kept; None = as long as may be"""
    status: Status = Status.VALIDATING
    faults: tuple[Fault, ...] = ()
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch."""

    number: int
    """in its file, counted from 1"""
    custom_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request."""

    ok: bool
    record: dict[str, Any]
    """its line in the results, but for the ids that the store gives"""
    audio: Path | None = None
    """a file that is kept with it, of the store's own folder for what is not finished"""
    content_type: str = ""
    ending: str = ""
    """of the name of that file"""


class Desk(Protocol):
    """What an answer may need of the store."""

    async def upload(self, id: str, tenant: str) -> Upload:
        """An uploaded file. Raises NotFoundError."""
        ...

    async def scratch(self) -> Path:
        """Where a file can be written. Its name is the id that it gets with the `Answer` that names it."""
        ...

    async def check_room(self, size: int) -> None:
        """Raises LimitError where no file of that many bytes can be kept."""
        ...


class Answering(Protocol):
    """How a protocol answers one request of a batch.

    What cannot be answered becomes an `Answer` that is not `ok`. Only what can be answered later is
    raised: BusyError and NotReadyError; and StorageError, which stops the batch for a while.
    """

    def __call__(self, batch: Batch, line: Line, desk: Desk) -> Awaitable[Answer]: ...
