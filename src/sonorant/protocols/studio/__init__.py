"""GET /: the web page, or for programs a small index of what is answered here.

The page is plain HTML, CSS and JavaScript in static/, without a build step and without anything
from elsewhere; it uses the same interface as everybody else.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from sonorant.protocols.root_path import root_path

FOLDER = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""nothing but this server is reached, nothing inline runs, and no other page frames this one"""

ASSETS = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in CONTENT_TYPES}
PATHS = frozenset({"/", *(f"/studio/{name}" for name in ASSETS)})
"""what the page is made of; none of it needs an API key"""


def routes(version: str) -> APIRouter:
    """The page and its files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> Response:
        varied = {"vary": "accept"}
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(_index(version), headers=varied)
        filled = ASSETS["index.html"].decode()
        for name, value in (("root", root_path(request.scope)), ("version", version)):
            filled = filled.replace(f"{{{{{name}}}}}", escape(value))
        return Response(filled, headers=HEADERS | varied, media_type=CONTENT_TYPES[".html"])

    @router.get("/studio/{name}")
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404)
        return Response(ASSETS[name], headers=HEADERS, media_type=CONTENT_TYPES[Path(name).suffix])

    return router


def _index(version: str) -> dict[str, Any]:
    return {
        "name": "sonorant",
        "version": version,
        "speech": "POST /v1/audio/speech",
        "transcriptions": "POST /v1/audio/transcriptions",
        "files": "POST /v1/files",
        "batches": "POST /v1/batches",
        "models": "GET /v1/models",
        "voices": "GET /v1/audio/voices",
        "health": "GET /health/ready",
        "metrics": "GET /metrics",
        "docs": "GET /docs",
    }
