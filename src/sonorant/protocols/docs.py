"""GET /docs: what this server answers, without anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from sonorant.protocols.root_path import root_path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #222 }
h2 { font-size: 1.1rem; margin: 2rem 0 .3rem } code { font-size: .95em }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-top: 1px solid #ddd }
th { font-weight: normal; color: #777 }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd } td, th { border-color: #444 } a { color: #8bf }
}
"""


def routes() -> APIRouter:
    """The page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page(request.app.openapi(), root_path(request.scope)))

    return router


def page(schema: dict[str, Any], root: str = "") -> str:
    """An OpenAPI document as one HTML page without scripts."""
    title = f"{schema['info']['title']} {schema['info']['version']}"
    operations = [
        _operation(schema, method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>For programs: <a href='{escape(root)}/openapi.json'>openapi.json</a></p>"
        f"{''.join(operations)}</html>"
    )


def _operation(schema: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    body = next(iter(operation.get("requestBody", {}).get("content", {}).items()), None)
    rows = [
        (parameter["name"], parameter["in"], _kind(parameter["schema"]), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    if body is not None:
        kind = _resolved(schema, body[1]["schema"])
        needed = kind.get("required", ())
        rows += [
            (name, "required" if name in needed else "", _kind(field), field.get("description", ""))
            for name, field in kind["properties"].items()
        ]
    answers = [(code, "", "", answer["description"]) for code, answer in operation["responses"].items()]
    sent = f"<p>Sent as <code>{body[0]}</code></p>" if body else ""
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}</p>"
        f"{sent}{_table(rows)}{_table(answers)}"
    )


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code><th>{place}<td>{escape(kind)}<td>{escape(what)}"
        for name, place, kind, what in rows
    )
    return f"<table>{lines}</table>" if rows else ""


def _resolved(schema: dict[str, Any], kind: dict[str, Any]) -> dict[str, Any]:
    reference = kind.get("$ref")
    named: dict[str, Any] = schema["components"]["schemas"]
    found: dict[str, Any] = named[reference.rsplit("/", 1)[1]] if reference else kind
    return found


def _kind(kind: dict[str, Any]) -> str:
    if "enum" in kind:
        return " | ".join(map(str, kind["enum"]))
    if "anyOf" in kind:
        return " | ".join(_kind(one) for one in kind["anyOf"] if one.get("type") != "null")
    if "$ref" in kind:
        return str(kind["$ref"]).rsplit("/", 1)[1]
    if kind.get("type") == "array":
        return f"list of {_kind(kind['items'])}"
    name = str(kind.get("format") or kind.get("type", ""))
    return f"{name} {kind['minimum']:g}–{kind['maximum']:g}" if {"minimum", "maximum"} <= set(kind) else name
