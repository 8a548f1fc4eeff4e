"""Tells a client by which steps of the ladders its answer was affected."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.gateway.standing import affecting

DEGRADED = "x-sonorant-degraded"
"""header: those steps, as in `fast, larger-batches`"""


class DegradedHeader:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with affecting() as steps:

            async def told(message: Message) -> None:
                if steps and message["type"] == "http.response.start":
                    MutableHeaders(scope=message)[DEGRADED] = ", ".join(steps)
                await send(message)

            await self.app(scope, receive, told)
