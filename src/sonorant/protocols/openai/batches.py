"""/v1/batches: many requests in one file, answered when there is time for them."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sonorant.gateway.jobs import Batch, Jobs, Store
from sonorant.gateway.jobs.database import fresh_id, now
from sonorant.gateway.jobs.records import Status
from sonorant.locale import translated
from sonorant.protocols.api_keys import tenant_of
from sonorant.protocols.language import language_of
from sonorant.protocols.openai.batch_requests import ENDPOINTS
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.protocols.openai.files import GONE, LONGEST, SHORTEST

PATH = "/v1/batches"
LONGEST_WINDOW = 30 * 86_400
"""seconds"""
_UNITS = {"h": 3_600, "d": 86_400}


def _window(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,3}[hd]", text) or _seconds(text) > LONGEST_WINDOW:
        raise ValueError("it is neither 24h nor another number of hours or days, up to 30d")
    return text


def _seconds(window: str) -> int:
    return int(window[:-1]) * _UNITS[window[-1]]


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no text") from None
    return text


Key = Annotated[str, Field(max_length=64), AfterValidator(_whole)]
Value = Annotated[str, Field(max_length=512), AfterValidator(_whole)]


class Expiry(BaseModel):
    """How long results are kept."""

    model_config = ConfigDict(strict=True)
    anchor: Literal["created_at"]
    seconds: int = Field(ge=SHORTEST, le=LONGEST)


class BatchBody(BaseModel):
    """A batch to be. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)
    input_file_id: str = Field(max_length=64, description="A file that was uploaded for the purpose batch")
    endpoint: Literal[tuple(ENDPOINTS)] = Field(description="What every request in it asks")  # type: ignore[valid-type]
    completion_window: Annotated[str, AfterValidator(_window)] = Field(
        "24h", description="24h, or another number of hours or days up to 30d: what is not done then never is"
    )
    metadata: dict[Key, Value] | None = Field(None, max_length=16, description="Kept and given back")
    output_expires_after: Expiry | None = Field(None, description="How long the results are kept")


class BatchFault(BaseModel):
    code: str
    message: str
    param: str | None
    line: int | None


class BatchFaults(BaseModel):
    """Why the input is no list of requests."""

    object: Literal["list"] = "list"
    data: list[BatchFault]


class RequestCounts(BaseModel):
    """The progress."""

    total: int
    completed: int
    failed: int


class BatchInfo(BaseModel):
    """A batch, with OpenAI's fields."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: BatchFaults | None
    input_file_id: str
    completion_window: str
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: dict[str, str] | None


class BatchList(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchInfo]
    first_id: str | None
    last_id: str | None
    has_more: bool


def routes(jobs: Jobs) -> APIRouter:
    """Begin, list, look at, cancel."""
    router = APIRouter(tags=["batches"])

    @router.post(
        PATH, summary="Begin a batch", responses={**GONE, **{code: RESPONSES[code] for code in (408, 413)}}
    )
    async def create_batch(body: BatchBody, request: Request) -> BatchInfo:
        began, expiry = now(), body.output_expires_after
        batch = Batch(
            id=fresh_id("batch_"),
            tenant=tenant_of(request.scope),
            endpoint=body.endpoint,
            input_file_id=body.input_file_id,
            window=body.completion_window,
            created_at=began,
            expires_at=began + _seconds(body.completion_window),
            metadata=body.metadata,
            language=language_of(request.scope),
            keep_seconds=expiry.seconds if expiry else None,
        )
        return _info(await jobs.create(batch), request)

    @router.get(PATH, summary="The batches, the newest first", responses=GONE)
    async def list_batches(
        request: Request,
        after: Annotated[
            str, Query(max_length=64, description="The id that the page before ended with")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> BatchList:
        batches, more = await jobs.ask(Store.batches, tenant_of(request.scope), limit, after)
        first, last = (batches[0].id, batches[-1].id) if batches else (None, None)
        data = [_info(batch, request) for batch in batches]
        return BatchList(data=data, first_id=first, last_id=last, has_more=more)

    @router.get(PATH + "/{batch_id}", summary="One batch and how far it is", responses=GONE)
    async def retrieve_batch(batch_id: str, request: Request) -> BatchInfo:
        return _info(await jobs.ask(Store.batch, batch_id, tenant_of(request.scope)), request)

    @router.post(PATH + "/{batch_id}/cancel", summary="Stop a batch; what is done stays", responses=GONE)
    async def cancel_batch(batch_id: str, request: Request) -> BatchInfo:
        return _info(await jobs.cancel(batch_id, tenant_of(request.scope)), request)

    return router


def _info(batch: Batch, request: Request) -> BatchInfo:
    language = language_of(request.scope)
    faults = [
        BatchFault(code=f.code, message=translated(f.message, language), param=f.param, line=f.line)
        for f in batch.faults
    ]
    fields = {name: value for name, value in asdict(batch).items() if name in BatchInfo.model_fields}
    return BatchInfo(
        **fields,
        completion_window=batch.window,
        errors=BatchFaults(data=faults) if faults else None,
        request_counts=RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
    )
