"""HTTP/1.1 as uvicorn speaks it, with this server's own words for what never reaches the application."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sonorant.protocols.openai.errors import Problem, error_json

UNREADABLE = Problem(
    message="The server cannot read this request. Send HTTP/1.1, with header fields of less than 64 KiB.",
    type="invalid_request_error",
    code="invalid_request",
)
"""in English, for the headers that name a language are what cannot be read"""


class Http(H11Protocol):
    """`uvicorn.Config(http=…)`. With ws="none" a WebSocket's opening is a GET, which the routes answer."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 cannot parse (its bound on header fields is uvicorn's) in OpenAI's shape."""
        body = error_json(UNREADABLE)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        parts = (
            h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for part in parts:
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: uvicorn would tell the operator to install a library for WebSockets."""
