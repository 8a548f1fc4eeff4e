"""Joins gateway and protocols into the ASGI application.

It lives here and not in the gateway because the arrows point from the protocols to the gateway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from sonorant.errors import SonorantError
from sonorant.gateway import Gateway
from sonorant.gateway.degrade import Degradation
from sonorant.gateway.jobs import Jobs
from sonorant.protocols import docs, health, metrics, rate_limits, studio
from sonorant.protocols.api_keys import ApiKeys
from sonorant.protocols.body_limits import BodyLimits
from sonorant.protocols.degraded import DEGRADED, DegradedHeader
from sonorant.protocols.failures import Failures
from sonorant.protocols.openai import batches, files, models, speech, transcriptions, translations, voices
from sonorant.protocols.openai.batch_requests import BatchRequests
from sonorant.protocols.openai.errors import on_http_error, on_sonorant_error, on_validation_error
from sonorant.protocols.rate_limits import RateLimitHeaders
from sonorant.protocols.request_log import RequestLog
from sonorant.protocols.root_path import RootPath
from sonorant.settings import LimitSettings, ServerSettings, Settings

FORM_BYTES = 2**20
"""what a form may hold beside its file"""


def create_app(
    gateway: Gateway,
    settings: Settings,
    version: str,
    running: AbstractAsyncContextManager[Any] | None = None,
) -> FastAPI:
    """The application. `running` is entered when the server starts and left when it stops: it starts
    and stops the replicas. Run it with one worker: the gateway's counts are per process."""

    longest = _json_bytes(settings.limits)
    jobs = Jobs(settings.jobs_folder, settings.jobs, BatchRequests(gateway), longest)

    degradation = Degradation(gateway, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running or nullcontext(), jobs.running(), degradation.running():
            yield
        await gateway.close()

    app = _Application(
        title="Sonorant",
        version=version,
        docs_url=None,
        redoc_url=None,
        # one file: the parser keeps the first megabyte of each in memory
        form_limits={"max_files": 1, "max_fields": 64, "max_part_size": 2**16},
        lifespan=lifespan,
        middleware=_middleware(gateway, settings.server, settings.limits),
        exception_handlers={
            SonorantError: on_sonorant_error,
            HTTPException: on_http_error,
            RequestValidationError: on_validation_error,
        },
    )
    for protocol in (speech, transcriptions, translations, models, voices, health, metrics):
        app.include_router(protocol.routes(gateway))
    app.include_router(files.routes(jobs, settings.limits))
    app.include_router(batches.routes(jobs))
    app.include_router(docs.routes())
    app.include_router(studio.routes(version))
    return app


def _middleware(gateway: Gateway, server: ServerSettings, limits: LimitSettings) -> list[Middleware]:
    """The layers, outermost first. All are plain ASGI: they neither buffer nor hide a hang-up."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=server.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=[
            "x-request-id",
            "retry-after",
            speech.CACHE,
            *rate_limits.HEADERS,
            DEGRADED,
            speech.WARNING,
        ],
    )
    return [
        Middleware(RequestLog, metrics=gateway.metrics, send_seconds=server.send_seconds),
        *([cors] if server.cors_origins else []),
        Middleware(Failures),
        Middleware(RootPath, root_path=server.root_path),
        Middleware(ApiKeys, server=server),
        Middleware(
            RateLimitHeaders,
            quotas=gateway.admission.quotas,
            paths={protocol.PATH for protocol in (speech, transcriptions, translations)},
        ),
        Middleware(DegradedHeader),
        Middleware(
            BodyLimits,
            limits={
                protocol.PATH: limits.upload_bytes + FORM_BYTES
                for protocol in (transcriptions, translations, files)
            },
            default=_json_bytes(limits),
            idle_seconds=server.body_idle_seconds,
            seconds=server.body_seconds,
        ),
    ]


def _json_bytes(limits: LimitSettings) -> int:
    """Of a body with the longest text."""
    return 12 * limits.text_characters + 2**16  # JSON may write a character as \ud83d\ude00


class _Application(FastAPI):
    """Documents 400 where FastAPI would document a 422 that is never sent."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = super().openapi()
            for methods in schema["paths"].values():
                for operation in methods.values():
                    operation["responses"].pop("422", None)
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
        return self.openapi_schema or {}
