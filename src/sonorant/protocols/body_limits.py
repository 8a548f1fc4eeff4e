"""How large a request's body may be and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.errors import BodyTimeoutError, LimitError, RequestError
from sonorant.protocols.openai.errors import error_response, problem
from sonorant.protocols.root_path import route_path

LINGER_SECONDS = 1.0
"""how long a refused body is still read and thrown away: a client that is busy sending sees a reset
instead of the answer when the connection closes at once"""


class BodyLimits:
    """ASGI middleware. Ends a body over its limit with 413, at once where Content-Length admits it,
    and one that is silent for `idle_seconds` or takes over `seconds` with 408; both close the
    connection. `limits` gives bytes by path, `default` those of every other path."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Mapping[str, int],
        default: int,
        idle_seconds: float,
        seconds: float,
    ) -> None:
        self.app, self.limits, self.default = app, limits, default
        self.idle_seconds, self.seconds = idle_seconds, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(self, self.limits.get(route_path(scope), self.default), receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        try:
            if declared.isdecimal() and int(declared) > body.limit:
                body.refuse_size()
            await self.app(scope, body.receive, body.send)
        except Exception:
            if body.refused is None:
                raise
        if body.refused is not None:
            await self._answer(body.refused, scope, receive, send)

    async def _answer(self, refused: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
        status, what, headers = problem(refused, scope)
        if isinstance(refused, BodyTimeoutError):
            status = 408
        response = error_response(status, what, scope, {**headers, "connection": "close"})
        await send({"type": "http.response.start", "status": status, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        if status == 413:
            await _throw_away(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Body:
    """One request's body on its way in. Once it is refused the application can send no more."""

    def __init__(self, limits: BodyLimits, limit: int, receive: Receive, send: Send) -> None:
        self.limits, self.limit = limits, limit
        self.refused: RequestError | None = None
        self._receive, self._send = receive, send
        self._bytes = 0
        self._complete = False
        self._deadline = asyncio.get_running_loop().time() + limits.seconds

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(self.limits.idle_seconds, left)):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse_wait(left) from None
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._bytes > self.limit:
            self.refuse_size()
        return message

    async def send(self, message: Message) -> None:
        if self.refused is None:
            await self._send(message)

    def refuse_size(self) -> None:
        """Raise LimitError."""
        self.refused = LimitError(
            f"The request's body is larger than the {self.limit:,} bytes that this server takes here",
            remedy="Send it in parts, compress the audio (flac, opus), or let the operator raise the limits",
        )
        raise self.refused

    def _refuse_wait(self, left: float) -> RequestError:
        idle = self.limits.idle_seconds
        self.refused = BodyTimeoutError(
            f"The request's body stopped half way: {self._bytes:,} bytes came, then nothing for {idle:g} s"
            if idle < left
            else f"The request's body took longer than {self.limits.seconds:g} s",
            remedy="Send the request again, over a steadier connection",
        )
        return self.refused


async def _throw_away(receive: Receive) -> None:
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        return
