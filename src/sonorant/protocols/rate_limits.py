"""Tells a client how many requests it has left, in OpenAI's headers."""

from __future__ import annotations

from collections.abc import Mapping, Set

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonorant.gateway.quota import Quota
from sonorant.protocols.root_path import route_path

HEADERS = tuple(f"x-ratelimit-{kind}-requests" for kind in ("limit", "remaining", "reset"))


class RateLimitHeaders:
    """ASGI middleware. On `paths`, for tenants that have one of `quotas`."""

    def __init__(self, app: ASGIApp, *, quotas: Mapping[str, Quota], paths: Set[str]) -> None:
        self.app, self.quotas, self.paths = app, quotas, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        quota = self.quotas.get(scope["state"]["tenant"]) if scope["type"] == "http" else None
        if quota is None or route_path(scope) not in self.paths:
            await self.app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                values = str(quota.limit), str(quota.remaining), _duration(quota.reset)
                MutableHeaders(scope=message).update(dict(zip(HEADERS, values, strict=True)))
            await send(message)

        await self.app(scope, receive, told)


def _duration(seconds: float) -> str:
    """As OpenAI writes it: 1m12s, 7.5s, 120ms."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
