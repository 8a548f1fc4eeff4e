"""API keys: `Authorization: Bearer …`, as OpenAI's clients send them."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sonorant.locale import translated
from sonorant.protocols import studio
from sonorant.protocols.language import language_of
from sonorant.protocols.openai.errors import Problem, error_response
from sonorant.protocols.root_path import route_path

OPEN = studio.PATHS | {
    "/docs",
    "/openapi.json",
    "/metrics",
    "/health",
    "/health/live",
    "/health/ready",
}
"""What needs no key: what says nothing about anyone, and the page, which asks for one itself.
/metrics names served models and counts, and the usual scrapers bring no key; publish only /v1 where
that is too much."""


class ApiKeys:
    """ASGI middleware. Asks for one of `keys` on every path but the open ones; none = asks for nothing."""

    def __init__(self, app: ASGIApp, *, keys: Sequence[SecretStr]) -> None:
        self.app = app
        self.keys = [key.get_secret_value().encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.keys and route_path(scope) not in OPEN:
            kind, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not self._known(given.strip()):
                message = (
                    "This API key is not known here. Send one that the operator gave you."
                    if given
                    else "An API key is missing. Send it as `Authorization: Bearer KEY`."
                )
                message = translated(message, language_of(scope))
                what = Problem(message=message, type="invalid_request_error", code="invalid_api_key")
                refused = error_response(401, what, scope, {"www-authenticate": "Bearer"})
                await refused(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _known(self, given: str) -> bool:
        key = given.encode("latin-1")  # the bytes as they came
        # every key is compared, in constant time each: how long it takes tells nothing
        return sum([hmac.compare_digest(key, known) for known in self.keys]) > 0


def tenant_of(scope: Scope) -> str:
    """Whose request it is; "" = everybody's."""
    return ""
