"""The path under which a proxy publishes this server (`server.root_path`)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """ASGI middleware. Works with proxies that take the path off and with those that leave it on."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        self.app, self.root_path = app, root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.root_path and scope["type"] == "http":
            scope["root_path"] = self.root_path
        await self.app(scope, receive, send)


def root_path(scope: Scope) -> str:
    """The published path without a slash at its end, or ""."""
    return str(scope.get("root_path", "")).rstrip("/")


def route_path(scope: Scope) -> str:
    """The path as the routes know it: without the root path, where the proxy left it on."""
    path, root = str(scope["path"]), root_path(scope)
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
