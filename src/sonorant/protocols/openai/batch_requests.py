"""The requests of a batch: the bodies of /v1/audio/… as JSON, answered by JSON and files.

What OpenAI's endpoints answer as JSON is the answer here, too. Audio and subtitles have no place in a line
of JSON: each becomes a file of its own, and the answer names it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sonorant.errors import BusyError, FailedModelError, NotReadyError, RequestError, StorageError
from sonorant.gateway import Gateway
from sonorant.gateway.jobs import Answer, Batch, Line
from sonorant.gateway.jobs.records import Desk
from sonorant.protocols.openai import transcriptions, translations
from sonorant.protocols.openai.errors import Problem, invalid, problem
from sonorant.protocols.openai.speech import PATH as SPEECH
from sonorant.protocols.openai.speech import SpeechBody, begun
from sonorant.protocols.openai.transcriptions import Grain, Shape, check, gathered, shaped
from sonorant.protocols.terms import QualityWord, quality
from sonorant.tasks import AudioFormat, Encoded, Terms, Tier, TranscriptionRequest

WRITTEN_BYTES = 2**18
"""of audio that are written at a time"""

log = logging.getLogger("sonorant.jobs")

Name = Annotated[str, Field(max_length=256)]


class TranscriptionBody(BaseModel):
    """What /v1/audio/transcriptions takes as a form, in JSON. Unknown fields are ignored; null = left out."""

    model_config = ConfigDict(strict=True)
    file: Name = Field(description="The id of an uploaded recording")
    model: Name | None = None
    language: Name | None = None
    languages: list[Name] | None = Field(None, max_length=8)
    prompt: str | None = Field(None, max_length=16384)
    keywords: list[Name] | None = Field(None, max_length=32)
    response_format: Shape | None = None
    temperature: float | None = Field(None, ge=0, le=1)
    timestamp_granularities: list[Grain] | None = None
    include: list[str] | None = Field(None, max_length=8)
    chunking_strategy: str | dict[str, Any] | None = None
    stream: bool | None = None
    itn: bool | None = None
    quality: QualityWord | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that went well."""

    body: dict[str, Any]
    file: Path | None = None
    content_type: str = ""
    ending: str = ""


class BatchRequests:
    """Answers the lines of batches (`gateway.jobs.Answering`), through the same gateway as all requests."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, batch: Batch, line: Line, desk: Desk) -> Answer:
        terms = Terms(id=f"req_{uuid4().hex}", tenant=batch.tenant, tier=Tier.BULK)
        try:
            made = await ENDPOINTS[batch.endpoint](self._gateway, line.body, terms, desk)
        except (BusyError, NotReadyError, StorageError) as error:
            if not isinstance(error, FailedModelError):
                raise
            return _failed(error, batch, line, terms)
        except Exception as error:
            return _failed(error, batch, line, terms)
        record = _record(line, terms, 200, made.body)
        return Answer(True, record, made.file, made.content_type, made.ending)


def _failed(error: Exception, batch: Batch, line: Line, terms: Terms) -> Answer:
    if isinstance(error, ValidationError):
        status, what = 400, invalid(error.errors()[0], batch.language)
    else:
        status, what = _problem(error, batch, terms)
    if status == 500:
        log.error("request %s of %s failed", terms.id, batch.id, exc_info=error)
    return Answer(False, _record(line, terms, status, {"error": what.model_dump()}))


def _problem(error: Exception, batch: Batch, terms: Terms) -> tuple[int, Problem]:
    headers = [(b"accept-language", batch.language.encode())]
    scope = {"type": "http", "headers": headers, "state": {"request_id": terms.id}}
    status, what, _ = problem(error, scope)
    return status, what


def _record(line: Line, terms: Terms, status: int, body: dict[str, Any]) -> dict[str, Any]:
    response = {"status_code": status, "request_id": terms.id, "body": body}
    return {"custom_id": line.custom_id, "response": response, "error": None}


async def _speak(gateway: Gateway, fields: Mapping[str, Any], terms: Terms, desk: Desk) -> Made:
    body = SpeechBody.model_validate(fields)
    if body.stream_format == "sse":
        raise RequestError(
            "A batch has nobody to send events to", remedy="Leave stream_format out", param="stream_format"
        )
    seconds = 0.0

    async def counted(audio: AsyncGenerator[Encoded, None]) -> AsyncGenerator[Encoded, None]:
        nonlocal seconds
        async with aclosing(audio):
            async for encoded in audio:
                seconds += encoded.seconds
                yield encoded

    spoken = begun(gateway, body, terms)
    spoken = replace(spoken, audio=counted(spoken.audio))
    path, size = await _saved(spoken.content(), desk)
    answer = _answer(path, spoken.content_type, size, seconds)
    if spoken.warning:
        answer["warning"] = spoken.warning
    if spoken.ignored:
        answer["ignored"] = list(spoken.ignored)
    shape = body.response_format or "mp3"
    ending = spoken.subtitles or AudioFormat(shape).ending
    return Made(answer, path, spoken.content_type, f".{ending}")


async def _transcribe(
    gateway: Gateway, fields: Mapping[str, Any], terms: Terms, desk: Desk, *, translate: bool = False
) -> Made:
    body = TranscriptionBody.model_validate(fields)
    shape, grains, chunking = body.response_format or "json", body.timestamp_granularities or [], "auto"
    if body.chunking_strategy is not None:
        strategy = body.chunking_strategy
        chunking = strategy if isinstance(strategy, str) else json.dumps(strategy)
    check(shape, grains, body.include or [], chunking, bool(body.stream))
    languages = body.languages or []
    asked = TranscriptionRequest(
        model=body.model or "",
        language=body.language or (languages[0] if len(languages) == 1 else ""),
        prompt=", ".join(filter(None, (body.prompt, *(body.keywords or ())))),
        temperature=body.temperature or 0.0,
        words="word" in grains,
        itn=bool(body.itn),
        translate=translate,
        quality=quality(body.quality),
        terms=terms,
    )
    upload = await desk.upload(body.file, terms.tenant)
    transcript = await gathered(gateway.transcribe(asked, upload), asked)
    written = shaped(transcript, shape, grains)
    content = bytes(written.body)
    if written.media_type == "application/json":
        return Made(json.loads(content))
    kind = written.media_type or ""
    path, size = await _saved(_once(content), desk)
    ending = ".txt" if shape == "text" else f".{shape}"
    return Made(_answer(path, kind, size, transcript.duration), path, kind, ending)


async def _translate(gateway: Gateway, fields: Mapping[str, Any], terms: Terms, desk: Desk) -> Made:
    return await _transcribe(gateway, fields, terms, desk, translate=True)


Endpoint = Callable[[Gateway, Mapping[str, Any], Terms, Desk], Awaitable[Made]]
ENDPOINTS: Mapping[str, Endpoint] = {
    SPEECH: _speak,
    transcriptions.PATH: _transcribe,
    translations.PATH: _translate,
}
"""what a batch may ask"""


def _answer(path: Path, content_type: str, size: int, seconds: float) -> dict[str, Any]:
    return {
        "file_id": path.name,
        "content_type": content_type,
        "bytes": size,
        "seconds": round(seconds, 3),
    }


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


async def _saved(content: AsyncGenerator[bytes, None], desk: Desk) -> tuple[Path, int]:
    """Content in a file that is on the disk, and its bytes. Raises StorageError, LimitError."""
    file: BinaryIO | None = None
    path = await desk.scratch()
    held, size = bytearray(), 0
    try:
        async with aclosing(content):
            async for piece in content:
                held += piece
                size += len(piece)
                if len(held) >= WRITTEN_BYTES:
                    file = file or await _disk(path.open, "xb")
                    await _disk(file.write, bytes(held))
                    held.clear()
        await desk.check_room(size)
        file = file or await _disk(path.open, "xb")
        await _disk(_end, file, bytes(held))
    except BaseException:
        if file is not None:
            await _disk(_abandon, file, path)
        raise
    return path, size


async def _disk(work: Callable[..., Any], *args: object) -> Any:
    try:
        return await asyncio.to_thread(work, *args)
    except OSError as error:
        raise StorageError(
            "The result of a request could not be written", why=str(error), remedy="Make room in jobs.folder"
        ) from error


def _end(file: BinaryIO, rest: bytes) -> None:
    with file:
        file.write(rest)
        file.flush()
        os.fsync(file.fileno())


def _abandon(file: BinaryIO, path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)
