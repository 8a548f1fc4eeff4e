"""The outermost layer: a request id on every response, one log line and one measurement a request."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.observe.metrics import Metrics
from sonorant.protocols.connection import ClientGone

log = logging.getLogger("sonorant.access")

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_GONE = 499  # nginx's word for it; only the log and the metrics see it


class RequestLog:
    """ASGI middleware. Echoes a sane `x-request-id` or makes one, logs a JSON line without any of
    the user's text, and drops a client that takes nothing for `send_seconds`."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, send_seconds: float) -> None:
        self.app, self.metrics, self.send_seconds = app, metrics, send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _SANE_ID.fullmatch(asked) else f"req_{uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        status, sent, complete = 0, 0, False

        async def watched(message: Message) -> None:
            nonlocal status, sent, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
                complete = not message.get("more_body", False)
            await self._send(send, message)

        try:
            await self.app(scope, receive, watched)
        except ClientGone:
            status = CLIENT_GONE
        finally:
            seconds = perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.http.labels(method, route, str(status)).observe(seconds)
            line = {
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "bytes": sent,
                "complete": complete,
                "client": (scope.get("client") or ("",))[0],
            }
            log.info("%s", json.dumps(line))

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self.send_seconds):
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
