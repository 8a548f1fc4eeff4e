"""Server-sent events as OpenAI sends them: `data:` lines of JSON, no event names."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.types import Scope

from sonorant.protocols.openai.errors import problem

CONTENT_TYPE = "text/event-stream"

SCHEMA = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
}
"""for the OpenAPI document, which describes one event of a stream"""

log = logging.getLogger("sonorant.server")


async def server_sent(
    events: AsyncGenerator[dict[str, Any], None], scope: Scope
) -> AsyncGenerator[bytes, None]:
    """The events as bytes. An error after the first one becomes an `error` event, the last."""
    began = False
    async with aclosing(events):
        try:
            async for event in events:
                yield _data(event)
                began = True
        except Exception as error:
            if not began:
                raise
            log.exception("request %s failed after it had begun", scope["state"]["request_id"])
            _, what, _ = problem(error, scope)
            yield _data({"type": "error", "error": what.model_dump()})


def _data(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode("utf-8", "backslashreplace")
