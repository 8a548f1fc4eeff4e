"""POST /v1/audio/transcriptions: a recording to text, whole or as it is recognised."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sonorant.errors import RequestError, UnsupportedError
from sonorant.gateway import Gateway
from sonorant.protocols.connection import StreamedResponse, until_gone
from sonorant.protocols.openai import sse
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.protocols.openai.transcript import Transcript
from sonorant.protocols.openai.uploads import received
from sonorant.protocols.terms import QUALITY, QualityWord, ServiceTier, quality, terms
from sonorant.tasks import Segment, TranscriptEnd, TranscriptEvent, TranscriptionRequest
from sonorant.text.joint import joint
from sonorant.text.subtitles import srt, vtt

PATH = "/v1/audio/transcriptions"

Shape = Literal["json", "text", "verbose_json", "srt", "vtt"]
Grain = Literal["segment", "word"]
TIER = "Extension here: flex or bulk waits until nothing interactive wants the device"
Name = Annotated[str, Form(max_length=256)]
Events = AsyncGenerator[TranscriptEvent, None]


def routes(gateway: Gateway) -> APIRouter:
    """The endpoint."""
    router = APIRouter(tags=["transcription"])

    @router.post(
        PATH,
        responses={**RESPONSES, 200: {"description": "The transcript", "content": {**CONTENT, **_EVENTS}}},
        response_model=None,
        summary="Speech to text",
    )
    async def create_transcription(
        request: Request,
        file: Annotated[UploadFile, File(description="A recording in any usual audio format")],
        model: Name = "",
        language: Name = "",
        languages: Annotated[list[str], Form(alias="languages[]", max_length=8)] = [],  # noqa: B006
        prompt: Annotated[str, Form(max_length=16384)] = "",
        keywords: Annotated[list[str], Form(alias="keywords[]", max_length=32)] = [],  # noqa: B006
        response_format: Annotated[Shape, Form()] = "json",
        temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
        stream: Annotated[bool, Form()] = False,
        grains: Annotated[list[Grain], Form(alias="timestamp_granularities[]")] = [],  # noqa: B006
        include: Annotated[list[str], Form(alias="include[]", max_length=8)] = [],  # noqa: B006
        chunking_strategy: Annotated[str, Form(max_length=1024)] = "auto",
        itn: Annotated[bool, Form(description="Extension: write spoken numbers as digits")] = False,
        service_tier: Annotated[ServiceTier, Form(description=TIER)] = "auto",
        tier: Annotated[QualityWord | None, Form(alias="quality", description=QUALITY)] = None,
    ) -> Response:
        check(response_format, grains, include, chunking_strategy, stream)
        asked = TranscriptionRequest(
            model=model,
            # the fields of gpt-transcribe: several languages only tell what to expect
            language=language or (languages[0] if len(languages) == 1 else ""),
            prompt=", ".join(filter(None, (prompt, *keywords))),
            temperature=temperature,
            words="word" in grains,
            itn=itn,
            quality=quality(tier),
            terms=terms(request, service_tier),
        )
        if stream:
            deltas = _deltas(_events(gateway, asked, file))
            return StreamedResponse(sse.server_sent(deltas, request.scope), sse.CONTENT_TYPE)
        transcript = await until_gone(request.receive, whole(gateway, asked, file))
        return shaped(transcript, response_format, grains)

    return router


def check(shape: Shape, grains: Sequence[Grain], include: Sequence[str], chunking: str, stream: bool) -> None:
    """Raises RequestError for fields that contradict each other, or that nothing here can do."""
    if grains and shape != "verbose_json":
        raise RequestError(
            "timestamp_granularities needs response_format verbose_json",
            why=f"{shape} has no place for times of that kind",
            remedy="Ask for verbose_json, or leave the field out",
            param="timestamp_granularities",
        )
    if stream and shape not in ("json", "text"):
        raise RequestError(
            f"response_format {shape} cannot be streamed",
            why="It is written when the whole recording has been heard",
            remedy="Leave stream out, or ask for json",
            param="stream",
        )
    if include:
        raise UnsupportedError(
            f"include {', '.join(include)[:80]} is not available here",
            why="The models served do not report token probabilities by token",
            remedy="Leave the field out; verbose_json carries avg_logprob where it is measured",
            param="include",
        )
    if not _known_chunking(chunking):
        raise RequestError(
            "chunking_strategy is neither auto nor an object of type server_vad",
            remedy="Leave it out: recordings are always cut where nobody speaks",
            param="chunking_strategy",
        )


def _known_chunking(text: str) -> bool:
    if text in ("auto", ""):
        return True
    try:
        strategy = json.loads(text)
    except ValueError:
        return False
    return isinstance(strategy, dict) and strategy.get("type") == "server_vad"


async def _events(gateway: Gateway, asked: TranscriptionRequest, file: UploadFile) -> Events:
    async with (
        received(file, gateway.limits.upload_bytes) as upload,
        aclosing(gateway.transcribe(asked, upload)) as events,
    ):
        async for event in events:
            yield event


async def whole(gateway: Gateway, asked: TranscriptionRequest, file: UploadFile) -> Transcript:
    """All that is said in an uploaded recording."""
    return await gathered(_events(gateway, asked, file), asked)


async def gathered(events: Events, asked: TranscriptionRequest) -> Transcript:
    """All of a transcript's events in one."""
    segments: list[Segment] = []
    duration = 0.0
    async with aclosing(events):
        async for event in events:
            if isinstance(event, TranscriptEnd):
                duration = event.duration
            else:
                segments.append(event)
    return Transcript(segments, duration, asked)


async def _deltas(events: Events) -> AsyncGenerator[dict[str, Any], None]:
    text = ""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Segment):
                delta = joint(text, event.text) + event.text
                text += delta
                yield {"type": "transcript.text.delta", "delta": delta}
    # OpenAI's schema allows usage here in tokens only, and these are not counted
    yield {"type": "transcript.text.done", "text": text}


def shaped(transcript: Transcript, shape: Shape, grains: Sequence[Grain] = ()) -> Response:
    """A transcript as `response_format` names it."""
    match shape:
        case "json":
            return JSONResponse(transcript.json())
        case "text":
            return PlainTextResponse(transcript.text + "\n")
        case "verbose_json":
            segments = not grains or "segment" in grains
            return JSONResponse(transcript.verbose_json(segments=segments, words="word" in grains))
        case "srt":
            return PlainTextResponse(srt(transcript.segments))
        case "vtt":
            return PlainTextResponse(vtt(transcript.segments), media_type="text/vtt")


CONTENT = {
    "application/json": {"schema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "text/plain": {"schema": {"type": "string"}},
    "text/vtt": {"schema": {"type": "string"}},
}
_EVENTS = {sse.CONTENT_TYPE: {"schema": sse.SCHEMA}}
