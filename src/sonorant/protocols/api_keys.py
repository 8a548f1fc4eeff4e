"""API keys: `Authorization: Bearer …`, as OpenAI's clients send them, and whose request it is."""

from __future__ import annotations

import hmac
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sonorant.in_force import InForce
from sonorant.locale import translated
from sonorant.protocols import studio
from sonorant.protocols.language import language_of
from sonorant.protocols.openai.errors import Problem, error_response
from sonorant.protocols.root_path import route_path
from sonorant.settings import ServerSettings

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
    """ASGI middleware. Asks for one of the keys on every path but the open ones; none = asks for nothing.

    Whose key it is goes into `scope["state"]["tenant"]`: its name, or the beginning of its hash where it
    has none; "" where no key is asked for.
    """

    def __init__(self, app: ASGIApp, *, in_force: InForce) -> None:
        self.app = app
        in_force.follow(lambda settings: self._take(settings.server))

    def _take(self, server: ServerSettings) -> None:
        named = [(key.key.get_secret_value().encode(), key.name) for key in server.keys]
        plain = [key.get_secret_value().encode() for key in server.api_keys]
        self.keys = named + [(key, sha256(key).hexdigest()[:12]) for key in plain]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["tenant"] = ""
            if self.keys and route_path(scope) not in OPEN:
                kind, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
                tenant = self._tenant(given.strip()) if kind.lower() == "bearer" else None
                if tenant is None:
                    await _refused(given, scope)(scope, receive, send)
                    return
                scope["state"]["tenant"] = tenant
        await self.app(scope, receive, send)

    def _tenant(self, given: str) -> str | None:
        key = given.encode("latin-1")  # the bytes as they came
        # every key is compared, in constant time each: how long it takes tells nothing
        found = [name for known, name in self.keys if hmac.compare_digest(key, known)]
        return found[0] if found else None


def tenant_of(scope: Scope) -> str:
    """Whose request it is; "" = everybody's."""
    return str(scope.get("state", {}).get("tenant", ""))


def _refused(given: str, scope: Scope) -> Response:
    message = (
        "This API key is not known here. Send one that the operator gave you."
        if given
        else "An API key is missing. Send it as `Authorization: Bearer KEY`."
    )
    what = Problem(
        message=translated(message, language_of(scope)), type="invalid_request_error", code="invalid_api_key"
    )
    return error_response(401, what, scope, {"www-authenticate": "Bearer"})
