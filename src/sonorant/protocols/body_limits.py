"""How large a request's body may be and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Set

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.errors import BodyTimeoutError, LimitError, RequestError
from sonorant.in_force import InForce
from sonorant.protocols.openai.errors import error_response, problem
from sonorant.protocols.root_path import route_path
from sonorant.settings import LimitSettings, ServerSettings

LINGER_SECONDS = 1.0
"""how long a refused body is still read and thrown away: a client that is busy sending sees a reset
instead of the answer when the connection closes at once"""


FORM_BYTES = 2**20
"""what a form may hold beside its file"""


def json_bytes(limits: LimitSettings) -> int:
    """Of a body with the longest text."""
    return 12 * limits.text_characters + 2**16  # JSON may write a character as \ud83d\ude00


class BodyLimits:
    """ASGI middleware. Ends a body over its limit with 413, at once where Content-Length admits it,
    and one that is silent for `server.body_idle_seconds` or takes over `server.body_seconds` with 408;
    both close the connection. To `uploads`, which are paths, a file may be sent, to all others a text."""

    def __init__(self, app: ASGIApp, *, in_force: InForce, uploads: Set[str]) -> None:
        self.app, self._in_force, self._uploads = app, in_force, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        settings = self._in_force.settings
        upload = route_path(scope) in self._uploads
        limit = settings.limits.upload_bytes + FORM_BYTES if upload else json_bytes(settings.limits)
        body = _Body(settings.server, limit, receive, send)
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

    def __init__(self, server: ServerSettings, limit: int, receive: Receive, send: Send) -> None:
        self.server, self.limit = server, limit
        self.refused: RequestError | None = None
        self._receive, self._send = receive, send
        self._bytes = 0
        self._complete = False
        self._deadline = asyncio.get_running_loop().time() + server.body_seconds

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(self.server.body_idle_seconds, left)):
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
        idle = self.server.body_idle_seconds
        self.refused = BodyTimeoutError(
            f"The request's body stopped half way: {self._bytes:,} bytes came, then nothing for {idle:g} s"
            if idle < left
            else f"The request's body took longer than {self.server.body_seconds:g} s",
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
