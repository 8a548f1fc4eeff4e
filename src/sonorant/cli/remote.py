"""Asking a server: Sonorant's, or any other with OpenAI's audio endpoints."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sonorant.errors import ServerError
from sonorant.locale import language_of_terminal
from sonorant.tasks import AudioFormat, Word

if TYPE_CHECKING:
    import httpx

    from sonorant.text.subtitle_file import SubtitleFile

CONNECT_SECONDS, SILENCE_SECONDS = 5.0, 300.0
"""bounds on reaching the server, and on its silence while it works"""


class Refused(ServerError):
    """The server answered, with an error."""

    def __init__(self, server: str, status: int, why: str, retry_after: float | None) -> None:
        super().__init__(f"{server} answered {status}", why=why)
        self.status, self.retry_after = status, retry_after


def speech_body(
    text: str,
    kind: AudioFormat,
    *,
    model: str | None = None,
    voice: str = "",
    speed: float = 1.0,
    language: str = "",
    sample_rate: int | None = None,
    loudness: float | None = None,
    trim_silence: bool = False,
    lexicon: Mapping[str, Mapping[str, str]] | None = None,
    seed: int | None = None,
    quality: str = "",
) -> dict[str, Any]:
    """The body of POST /v1/audio/speech; extensions are in it only where they are wanted."""
    body: dict[str, Any] = {
        "model": model or "tts-1",
        "input": text,
        "voice": voice or "alloy",
        "speed": speed,
        "response_format": kind,
    }
    body |= {"sample_rate": sample_rate} if sample_rate else {}
    body |= {"language": language} if language else {}
    body |= {"quality": quality} if quality else {}
    body |= {"lexicon": lexicon} if lexicon else {}
    body |= {"seed": seed} if seed is not None else {}
    body |= {"loudness": loudness} if loudness is not None else {}
    return body | ({"trim_silence": True} if trim_silence else {})


def seal(file: BinaryIO, kind: AudioFormat) -> None:
    """Write the true length into a WAV that came as a stream, where `file` can be read and sought."""
    if kind.ending == "wav" and file.readable() and file.seekable():
        from sonorant.audio.encoding import seal_wav

        seal_wav(file)


def speech(server: str, key: str, body: dict[str, Any]) -> Iterator[bytes]:
    """The audio of POST /v1/audio/speech as it arrives. Raises ServerError."""
    with _response(server, key, "/v1/audio/speech", json=body) as response:
        yield from response.iter_bytes()


def timed_speech(server: str, key: str, body: dict[str, Any], track: SubtitleFile) -> Iterator[bytes]:
    """The same audio from events, whose word times go to `track`. Raises ServerError."""
    wanted = {"stream_format": "sse", "timestamp_granularities": ["word"]}
    timed = False
    with _response(server, key, "/v1/audio/speech", json=body | wanted) as response:
        for line in response.iter_lines():
            if not line.startswith("data:"):
                continue
            event: dict[str, Any] = json.loads(line.removeprefix("data:"))
            if event["type"] == "speech.audio.words":
                timed = True
                track.add(Word(word["word"], word["start"], word["end"]) for word in event["words"])
            elif event["type"] == "speech.audio.delta":
                yield base64.b64decode(event["audio"])
            elif event["type"] == "error":
                raise ServerError(f"{server} failed half way", why=str(event["error"]["message"]))
    if not timed:
        raise ServerError(
            f"{server} did not say when each word is spoken",
            why="Its model does not measure that, or the server is another one than Sonorant",
            remedy="Leave --subtitles out, or choose a model that measures words",
        )


def transcription(server: str, key: str, file: Path, form: dict[str, str], *, translate: bool) -> str:
    """The body of POST /v1/audio/transcriptions, or of translations. Raises ServerError."""
    path = "/v1/audio/translations" if translate else "/v1/audio/transcriptions"
    with file.open("rb") as audio:
        files = {"file": (file.name, audio)}
        with _response(server, key, path, data=form, files=files) as response:
            response.read()
            return response.text


def vocoding(server: str, key: str, file: Path, form: Mapping[str, Any]) -> Iterator[bytes]:
    """The audio of POST /v1/audio/vocodings as it arrives. Raises ServerError."""
    with file.open("rb") as source:
        files = {"file": (file.name, source)}
        with _response(server, key, "/v1/audio/vocodings", data=form, files=files) as response:
            yield from response.iter_bytes()


@contextmanager
def _response(server: str, key: str, path: str, **content: Any) -> Iterator[httpx.Response]:
    import httpx

    headers = {"Accept-Language": language_of_terminal()}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    url = server.rstrip("/").removesuffix("/v1") + path
    try:
        with httpx.stream("POST", url, headers=headers, timeout=timeout, **content) as response:
            if response.is_error:
                response.read()
                after = response.headers.get("retry-after", "")
                seconds = float(after) if after.isdecimal() else None
                raise Refused(server, response.status_code, _message(response.text), seconds)
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
