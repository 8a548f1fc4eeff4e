"""The last resort: an exception that nobody expected becomes a 500 that tells nothing but its id."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.protocols.connection import ClientGone
from sonorant.protocols.openai.errors import error_response, problem

log = logging.getLogger("sonorant.server")


class Failures:
    """ASGI middleware. Logs the exception; where the response has begun, leaves it without its end,
    so that the server closes the connection and the client sees that something is missing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientGone:
            raise
        except Exception as error:
            log.exception("request %s failed", scope["state"]["request_id"])
            if not started:
                status, what, headers = problem(error, scope)
                await error_response(status, what, scope, headers)(scope, receive, send)
