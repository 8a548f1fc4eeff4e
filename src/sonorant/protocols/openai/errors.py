"""Errors as OpenAI's clients read them: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from sonorant.errors import (
    BusyError,
    FailedModelError,
    LimitError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    NotReadyError,
    RequestError,
    SonorantError,
    StorageError,
    UnknownModelError,
)
from sonorant.locale import translated
from sonorant.protocols.language import language_headers, language_of
from sonorant.protocols.root_path import route_path

REALTIME = "/v1/realtime"
"""where OpenAI's clients want live speech recognised, over a WebSocket, which opens with a GET"""

RETRY_LATER = {"retry-after": "5"}
NO_RETRY = {"x-should-retry": "false"}  # OpenAI's SDKs obey it; without it they ask three times

STATUSES: tuple[tuple[type[SonorantError], int, str, Mapping[str, str]], ...] = (
    (BusyError, 429, "rate_limit_error", {}),
    (LimitError, 413, "invalid_request_error", {}),
    (UnknownModelError, 404, "invalid_request_error", {}),
    (NotFoundError, 404, "invalid_request_error", {}),
    (RequestError, 400, "invalid_request_error", {}),
    (FailedModelError, 503, "server_error", NO_RETRY),
    (NotReadyError, 503, "server_error", RETRY_LATER),
    (ModelError, 503, "server_error", NO_RETRY),
    (StorageError, 503, "server_error", NO_RETRY),
    (MissingExtraError, 501, "server_error", NO_RETRY),
)
"""class, HTTP status, OpenAI's type, headers; the first that fits. Everything else is a 500."""


class Problem(BaseModel):
    """What went wrong and what to do about it."""

    message: str
    type: str
    param: str | None = None
    """the field of the request that is at fault"""
    code: str | None = None
    """a stable word for programs"""


class ErrorBody(BaseModel):
    """The body of every error."""

    error: Problem


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "Something in the request is wrong; `param` names it"},
    401: {"model": ErrorBody, "description": "No API key, or a wrong one"},
    404: {"model": ErrorBody, "description": "No such model"},
    408: {"model": ErrorBody, "description": "The body stopped half way"},
    413: {"model": ErrorBody, "description": "More than this server takes"},
    429: {"model": ErrorBody, "description": "As much waits as may wait; see Retry-After"},
    500: {"model": ErrorBody, "description": "A fault of the server"},
    501: {"model": ErrorBody, "description": "An optional package is not installed"},
    503: {"model": ErrorBody, "description": "The model is loading, or failed to load"},
}
"""for the OpenAPI document"""


def problem(error: Exception, scope: Scope) -> tuple[int, Problem, Mapping[str, str]]:
    """HTTP status, what to tell the client in the language of its request, and headers.

    A fault of the server is told without its details: they are in the log, under the request id.
    """
    if isinstance(error, SonorantError):
        for kind, status, name, headers in STATUSES:
            if isinstance(error, kind):
                message = error.localized(language_of(scope))
                if isinstance(error, BusyError):
                    headers = {"retry-after": str(max(1, ceil(error.retry_after)))}
                return (
                    status,
                    Problem(message=message, type=name, param=error.param, code=error.code),
                    headers,
                )
    request_id = scope["state"]["request_id"]
    message = translated(
        f"The server failed to answer. Its log tells why under the request id {request_id}.",
        language_of(scope),
    )
    code = error.code if isinstance(error, SonorantError) else SonorantError.code
    return 500, Problem(message=message, type="server_error", code=code), {}


def error_response(
    status: int, what: Problem, scope: Scope, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as a response."""
    headers = {**language_headers(scope), **(headers or {})}
    return Response(error_json(what), status, headers, media_type="application/json")


def error_json(what: Problem) -> bytes:
    """{"error": …}; text that UTF-8 cannot carry (halves of surrogate pairs) is escaped, as JSON may."""
    text = json.dumps({"error": what.model_dump()}, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


async def on_sonorant_error(request: Request, error: Exception) -> Response:
    status, what, headers = problem(error, request.scope)
    return error_response(status, what, request.scope, headers)


async def on_http_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, and bodies that cannot be parsed."""
    assert isinstance(error, HTTPException)
    method, path = request.method, request.url.path[:200]
    nothing = (
        f"Live recognition ({path}) is not served by this version. "
        "Send recordings to /v1/audio/transcriptions."
        if route_path(request.scope).startswith(REALTIME)
        else f"There is nothing at {path}. GET / lists what this server answers."
    )
    message, code = {
        404: (nothing, "unknown_url"),
        405: (f"{path} does not take {method}. GET /docs tells what it takes.", "method_not_allowed"),
    }.get(error.status_code, (f"{str(error.detail).rstrip('.')}.", "invalid_request"))
    message = translated(message, language_of(request.scope))
    what = Problem(message=message, type="invalid_request_error", code=code)
    headers = {"allow": _allowed(request)} if error.status_code == 405 else error.headers
    return error_response(error.status_code, what, request.scope, headers)


def _allowed(request: Request) -> str:
    """All methods of a path; Starlette names those of the first route that has it."""
    routes = _flat(request.app.routes)
    methods = [route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for of_route in methods for method in of_route}))


def _flat(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Those of routers that were included, too, where FastAPI has them."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        elif included := getattr(route, "original_router", None):
            yield from _flat(included.routes)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """A field that is missing, of a wrong type or out of range: 400, the first one named."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    what = invalid({**first, "loc": first["loc"][1:]}, language_of(request.scope))  # below "body"
    return error_response(400, what, request.scope)


def invalid(first: Mapping[str, Any], language: str) -> Problem:
    """What pydantic finds wrong with a body."""
    place = [part for part in first["loc"] if isinstance(part, str)]
    field = place[0].removesuffix("[]") if place else None
    reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if first["type"] == "json_invalid":
        message = f"The body is not JSON: {first['ctx']['error']} at character {first['loc'][0]}."
    elif field is None:
        message = "The body must be a JSON object, sent with Content-Type: application/json."
    elif first["type"] == "missing":
        message = f"The field {field!r} is missing. Send it."
    elif "UploadFile" in reason:
        message = f"The field {field!r} is text. Send the recording as a file part: `curl -F file=@NAME`."
    else:
        message = f"The field {field!r} is wrong: {reason}."
    message = translated(message, language)
    return Problem(message=message, type="invalid_request_error", param=field, code="invalid_value")
