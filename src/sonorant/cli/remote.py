"""Asking a server: Sonorant's, or any other with OpenAI's audio endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.errors import ServerError

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS, SILENCE_SECONDS = 5.0, 300.0
"""bounds on reaching the server, and on its silence while it works"""


def speech(server: str, key: str, body: dict[str, Any]) -> Iterator[bytes]:
    """The audio of POST /v1/audio/speech as it arrives. Raises ServerError."""
    with _response(server, key, "/v1/audio/speech", json=body) as response:
        yield from response.iter_bytes()


def transcription(server: str, key: str, file: Path, form: dict[str, str]) -> str:
    """The body of POST /v1/audio/transcriptions. Raises ServerError."""
    with file.open("rb") as audio:
        files = {"file": (file.name, audio)}
        with _response(server, key, "/v1/audio/transcriptions", data=form, files=files) as response:
            response.read()
            return response.text


@contextmanager
def _response(server: str, key: str, path: str, **content: Any) -> Iterator[httpx.Response]:
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    url = server.rstrip("/").removesuffix("/v1") + path
    try:
        with httpx.stream("POST", url, headers=headers, timeout=timeout, **content) as response:
            if response.is_error:
                response.read()
                raise ServerError(f"{server} answered {response.status_code}", why=_message(response.text))
            yield response
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(
            f"{server} did not answer as a server should",
            why=str(error) or type(error).__name__,
            remedy="Check the address, and that `sonorant serve` runs there",
        ) from error


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:300]
