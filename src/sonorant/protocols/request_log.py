"""The outermost layer: a request id on every response; a log line, a measurement and a span a request."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.in_force import InForce
from sonorant.observe import tracing
from sonorant.observe.context import request_id as current_id
from sonorant.observe.metrics import Metrics
from sonorant.protocols.connection import ClientGone

log = logging.getLogger("sonorant.access")

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_GONE = 499  # nginx's word for it; only the log and the metrics see it


@dataclass(slots=True)
class _Answer:
    """What was sent of a response so far."""

    began: float = field(default_factory=perf_counter)
    status: int = 0
    sent: int = 0
    """bytes"""
    complete: bool = False


class RequestLog:
    """ASGI middleware. Echoes a sane `x-request-id` or makes one, which all that is logged meanwhile carries;
    logs a line without any of the user's text; drops a client that takes nothing for
    `server.send_seconds`."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, in_force: InForce) -> None:
        self.app, self.metrics, self._in_force = app, metrics, in_force

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer()
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _SANE_ID.fullmatch(asked) else f"req_{uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            elif message["type"] == "http.response.body":
                answer.sent += len(message.get("body", b""))
                answer.complete = not message.get("more_body", False)
            await self._send(send, message)

        token = current_id.set(request_id)
        try:
            with tracing.request_span("request", headers.get("traceparent", "")) as span:
                try:
                    await self.app(scope, receive, watched)
                except ClientGone:
                    answer.status = CLIENT_GONE
                finally:
                    self._tell(scope, answer, span)
        finally:
            current_id.reset(token)

    def _tell(self, scope: Scope, answer: _Answer, span: tracing.Span) -> None:
        """Log, measure and name a request that has ended."""
        seconds = perf_counter() - answer.began
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        status, request_id = answer.status, scope["state"]["request_id"]
        client = (scope.get("client") or ("",))[0]
        self.metrics.http.labels(method, route, str(status)).observe(seconds)
        span.name(f"{method} {route}")
        span.set(
            **{
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "request_id": request_id,
            }
        )
        fields = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "bytes": answer.sent,
            "complete": answer.complete,
            "client": client,
        }
        end = "" if answer.complete else ", broken off"
        line = "%s %s %s %s, %s bytes in %.3f s%s"
        log.info(line, client, method, route, status, answer.sent, seconds, end, extra={"fields": fields})

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._in_force.settings.server.send_seconds):
                await send(message)
        except TimeoutError:
            _abort(send)
            raise ClientGone from None


def _abort(send: Send) -> None:
    """Close the connection without waiting for its buffer, which the client will never empty.

    ASGI has no word for this. Under uvicorn `send` belongs to the object that holds the transport;
    under another server the connection ends when the application returns.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
