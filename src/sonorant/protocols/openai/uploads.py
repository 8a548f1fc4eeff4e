"""Takes an uploaded file over from the form parser: small ones as bytes, others as a file of ours."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.datastructures import UploadFile

from sonorant.errors import AudioError, LimitError
from sonorant.tasks import Upload

IN_MEMORY_BYTES = 2**20
"""as the form parser, which keeps this much in memory too"""


@asynccontextmanager
async def received(file: UploadFile, limit: int) -> AsyncIterator[Upload]:
    """The upload; its file is deleted at the end, whatever the end is.

    Raises AudioError for an empty one, LimitError for one over `limit` bytes.
    """
    size, name = file.size or 0, (file.filename or "")[:200]
    if size == 0:
        raise AudioError("The uploaded file is empty", remedy="Send a recording in `file`", param="file")
    if size > limit:
        raise LimitError(
            f"The uploaded file has {size:,} bytes; this server takes {limit:,}",
            remedy="Send it in parts, or compress it (flac, opus)",
            param="file",
        )
    if size <= IN_MEMORY_BYTES:
        yield Upload(await file.read(), name)
        return
    # the parser's own temporary file has no name that another process could open
    with tempfile.NamedTemporaryFile(prefix="sonorant-", suffix=".upload") as copy:
        await asyncio.to_thread(shutil.copyfileobj, file.file, copy, IN_MEMORY_BYTES)
        copy.flush()
        yield Upload(Path(copy.name), name)
