"""The client's side of a request: it may leave at any time, and then the work stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")

STOPPING_SECONDS = 10.0
"""how long cancelled work may take to clean up before its response is given up"""

log = logging.getLogger("sonorant.server")


class ClientGone(Exception):
    """The client left, or took nothing for too long. Nobody is there to be told."""


async def until_gone(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client leaves. Raises ClientGone then.

    To be called once the request's body has been read: `receive` is then silent until the end.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        _, stuck = await asyncio.wait({working, watching}, timeout=STOPPING_SECONDS)
        if stuck:
            log.error("cancelled work has not ended after %s s", STOPPING_SECONDS)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class StreamedResponse(Response):
    """Sends what `pieces` yields, as it comes.

    The status line waits for the first piece, so that an error before it becomes a proper error
    response. An error after it leaves the body without its end, which HTTP clients report; it is
    never a clean end. `pieces` is closed promptly when the client leaves.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        late: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`late` gives headers that are known when the first piece is there."""
        self.pieces, self.late = pieces, late
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        # proxies (nginx) must not gather what is meant to be heard at once
        self.init_headers({"x-accel-buffering": "no", "cache-control": "no-cache", **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await until_gone(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self.pieces) as pieces:
            first = await anext(pieces, b"")
            self.headers.update(self.late())
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        # last of all: once the response is complete `receive` says that the client is gone
        await send({"type": "http.response.body", "body": b"", "more_body": False})
