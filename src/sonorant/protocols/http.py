"""HTTP/1.1 as uvicorn speaks it, with this server's own words for what never reaches the application."""

from __future__ import annotations

import asyncio

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sonorant.protocols.openai.errors import Problem, error_json

HEADER_BYTES = 65_536
"""of a request line with its header fields; httptools itself would gather any number"""
BLANK_BYTES = 4
"""line ends that may come before a request (RFC 9112, 2.2, wants one of them ignored)"""
HEADER_SECONDS = 30.0
"""until a header must be complete; uvicorn would wait for ever"""

UNREADABLE = Problem(
    message="The server cannot read this request. Send HTTP/1.1, with header fields of less than 64 KiB.",
    type="invalid_request_error",
    code="invalid_request",
)
"""in English, for the headers that name a language are what cannot be read"""


class Http(HttpToolsProtocol):
    """`uvicorn.Config(http=…)`. With ws="none" a WebSocket's opening is a GET, which the routes answer."""

    _heading = 0
    """bytes of a header, or of what follows a body, that is not yet complete"""
    _begun = False
    """a request is on its way"""
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there, who has to say what they want."""
        super().connection_made(transport)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._header_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse what cannot be parsed, and a header that has become too long."""
        self._heading += len(data)
        super().data_received(data)
        if self._heading > (HEADER_BYTES if self._begun else BLANK_BYTES) and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        super().on_message_begin()
        self._begun = True
        if self._patience is None:
            self._await_header()

    def on_headers_complete(self) -> None:
        """Begin with the request, if its header is not too long."""
        self._header_is_there()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEADER_BYTES or self.parser.get_http_version() not in ("1.0", "1.1"):
            raise HttpParserError
        self._heading = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        self._heading = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is all there."""
        self._heading, self._begun = 0, False
        super().on_message_complete()

    def _await_header(self) -> None:
        self._patience = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _header_is_there(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed in OpenAI's shape; an answer that is on its way ends instead."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # words of ours among its bytes would be taken for audio
            return
        body = error_json(UNREADABLE)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: uvicorn would tell the operator to install a library for WebSockets."""
