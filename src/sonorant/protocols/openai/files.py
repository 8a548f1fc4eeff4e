"""/v1/files: what is left here for batches, and what they made."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import BaseModel
from starlette.responses import Response

from sonorant.errors import LimitError, NotFoundError, RequestError
from sonorant.gateway.jobs import Jobs, StoredFile
from sonorant.gateway.jobs.files import on_disk, pieces
from sonorant.in_force import InForce
from sonorant.protocols.api_keys import tenant_of
from sonorant.protocols.connection import StreamedResponse
from sonorant.protocols.openai.errors import RESPONSES, ErrorBody

PATH = "/v1/files"
PIECE_BYTES = 2**20
SHORTEST, LONGEST = 3600, 2_592_000
"""seconds that OpenAI lets a file be kept"""

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""OpenAI's. Here `batch` is a list of requests, and a recording may have any other"""

GONE: dict[int | str, dict[str, Any]] = {
    **{code: RESPONSES[code] for code in (400, 401, 500, 503)},
    404: {"model": ErrorBody, "description": "Nothing has that id"},
}


class FileInfo(BaseModel):
    """A file, with OpenAI's fields."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(BaseModel):
    object: Literal["list"] = "list"
    data: list[FileInfo]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


def routes(jobs: Jobs, in_force: InForce) -> APIRouter:
    """Upload, list, look at, download, delete."""
    router = APIRouter(tags=["batches"])

    @router.post(PATH, summary="Leave a file here", responses={**GONE, **_BODY})
    async def create_file(
        request: Request,
        file: Annotated[UploadFile, File(description="A list of requests (JSONL), or a recording")],
        purpose: Annotated[
            Purpose, Form(description="batch for a list of requests; any other is a recording")
        ],
        anchor: Annotated[Literal["created_at"], Form(alias="expires_after[anchor]")] = "created_at",
        seconds: Annotated[int | None, Form(alias="expires_after[seconds]", ge=SHORTEST, le=LONGEST)] = None,
    ) -> FileInfo:
        size = file.size or 0
        if size == 0:
            raise RequestError(
                "The uploaded file is empty", remedy="Send its content in `file`", param="file"
            )
        limits = in_force.settings.limits
        if size > limits.upload_bytes:
            raise LimitError(
                f"The uploaded file has {size:,} bytes; this server takes {limits.upload_bytes:,}",
                remedy="Send it in parts, or compress it (flac, opus)",
                param="file",
            )
        await jobs.check_room(size)
        path = await jobs.scratch()
        try:
            await asyncio.to_thread(_copy, file, path)
            name, tenant = (file.filename or "")[:200], tenant_of(request.scope)
            kept = await jobs.ask(lambda store: store.files.keep(path, tenant, purpose, name, seconds))
            return _info(kept)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    @router.get(PATH, summary="The files that are kept", responses=GONE)
    async def list_files(
        request: Request,
        after: Annotated[
            str, Query(max_length=64, description="The id that the page before ended with")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
        order: Literal["asc", "desc"] = "desc",
        purpose: Annotated[str, Query(max_length=64)] = "",
    ) -> FileList:
        tenant, oldest_first = tenant_of(request.scope), order == "asc"
        files, more = await jobs.ask(
            lambda store: store.files.page(
                tenant, limit, after=after, purpose=purpose, oldest_first=oldest_first
            )
        )
        first, last = (files[0].id, files[-1].id) if files else (None, None)
        return FileList(data=[_info(file) for file in files], first_id=first, last_id=last, has_more=more)

    @router.get(PATH + "/{file_id}", summary="One file", responses=GONE)
    async def retrieve_file(file_id: str, request: Request) -> FileInfo:
        tenant = tenant_of(request.scope)
        file, _ = await jobs.ask(lambda store: store.files.find(file_id, tenant))
        return _info(file)

    @router.get(
        PATH + "/{file_id}/content",
        summary="The bytes of a file",
        response_class=Response,
        responses={**GONE, 200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def file_content(file_id: str, request: Request) -> StreamedResponse:
        tenant = tenant_of(request.scope)
        file, path = await jobs.ask(lambda store: store.files.find(file_id, tenant))
        headers = {
            "content-length": str(file.bytes),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
            "x-content-type-options": "nosniff",
        }
        return StreamedResponse(_content(path, file_id), file.content_type, headers)

    @router.delete(PATH + "/{file_id}", summary="Delete a file", responses=GONE)
    async def delete_file(file_id: str, request: Request) -> FileDeleted:
        tenant = tenant_of(request.scope)
        await jobs.ask(lambda store: store.files.delete(file_id, tenant))
        return FileDeleted(id=file_id)

    return router


async def _content(path: Path, id: str) -> AsyncGenerator[bytes, None]:
    reading = pieces(path)
    try:
        while piece := await asyncio.to_thread(next, reading, b""):
            yield piece
    except FileNotFoundError:
        raise NotFoundError(
            f"The bytes of the file {id} are not there any more",
            why="Somebody deleted them meanwhile",
            param="file_id",
        ) from None


def _copy(file: UploadFile, path: Path) -> None:
    with path.open("xb") as copy:
        shutil.copyfileobj(file.file, copy, PIECE_BYTES)
    on_disk(path)


def _info(file: StoredFile) -> FileInfo:
    return FileInfo(
        id=file.id,
        bytes=file.bytes,
        created_at=file.created_at,
        expires_at=file.expires_at,
        filename=file.filename,
        purpose=file.purpose,
    )


_BODY: dict[int | str, dict[str, Any]] = {code: RESPONSES[code] for code in (408, 413)}
