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
from sonorant.in_force import InForce
from sonorant.protocols import docs, health, metrics, rate_limits, studio, vocodings
from sonorant.protocols.api_keys import ApiKeys
from sonorant.protocols.body_limits import BodyLimits, json_bytes
from sonorant.protocols.degraded import DEGRADED, DegradedHeader
from sonorant.protocols.failures import Failures
from sonorant.protocols.openai import batches, files, models, speech, transcriptions, translations, voices
from sonorant.protocols.openai.batch_requests import BatchRequests
from sonorant.protocols.openai.errors import on_http_error, on_sonorant_error, on_validation_error
from sonorant.protocols.rate_limits import RateLimitHeaders
from sonorant.protocols.request_log import RequestLog
from sonorant.protocols.root_path import RootPath
from sonorant.settings import Settings


def create_app(
    gateway: Gateway,
    settings: Settings | InForce,
    version: str,
    running: AbstractAsyncContextManager[Any] | None = None,
) -> FastAPI:
    """The application. `running` is entered when the server starts and left when it stops: it starts
    and stops the replicas. Settings that are in force may change meanwhile; whoever changes them tells the
    gateway, too. Run it with one worker: the gateway's counts are per process."""
    in_force = settings if isinstance(settings, InForce) else InForce(settings)
    settings = in_force.settings
    jobs = Jobs(settings.jobs_folder, settings.jobs, BatchRequests(gateway), json_bytes(settings.limits))
    in_force.follow(lambda settings: jobs.take(settings.jobs, json_bytes(settings.limits)))

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
        middleware=_middleware(gateway, in_force),
        exception_handlers={
            SonorantError: on_sonorant_error,
            HTTPException: on_http_error,
            RequestValidationError: on_validation_error,
        },
    )
    for protocol in (speech, transcriptions, translations, vocodings, models, voices, health, metrics):
        app.include_router(protocol.routes(gateway))
    app.include_router(files.routes(jobs, in_force))
    app.include_router(batches.routes(jobs))
    app.include_router(docs.routes())
    app.include_router(studio.routes(version))
    return app


def _middleware(gateway: Gateway, in_force: InForce) -> list[Middleware]:
    """The layers, outermost first. All are plain ASGI: they neither buffer nor hide a hang-up."""
    server = in_force.settings.server
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
        Middleware(RequestLog, metrics=gateway.metrics, in_force=in_force),
        *([cors] if server.cors_origins else []),
        Middleware(Failures),
        Middleware(RootPath, root_path=server.root_path),
        Middleware(ApiKeys, in_force=in_force),
        Middleware(
            RateLimitHeaders,
            quotas=gateway.admission.quotas,
            paths={protocol.PATH for protocol in (speech, transcriptions, translations, vocodings)},
        ),
        Middleware(DegradedHeader),
        Middleware(
            BodyLimits,
            in_force=in_force,
            uploads={protocol.PATH for protocol in (transcriptions, translations, vocodings, files)},
        ),
    ]


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
