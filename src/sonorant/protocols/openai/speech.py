"""POST /v1/audio/speech: text to speech, streamed from the first audio on."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from sonorant.errors import EngineError
from sonorant.gateway import Gateway
from sonorant.gateway.text import check_text
from sonorant.protocols.connection import StreamedResponse
from sonorant.protocols.openai import sse
from sonorant.protocols.openai.errors import RESPONSES, request_id
from sonorant.tasks import AudioFormat, Delivery, Encoded, SpeechRequest
from sonorant.text.languages import languages_of
from sonorant.text.segment import once

CONTENT_TYPES: dict[AudioFormat, str] = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg",  # Opus in Ogg pages: RFC 7845 (audio/opus is RTP's, RFC 7587)
    AudioFormat.AAC: "audio/aac",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.PCM: "audio/pcm",
}

Name = Annotated[str, Field(max_length=256)]


class VoiceId(BaseModel):
    """A voice as OpenAI's newer clients name it."""

    model_config = ConfigDict(strict=True)
    id: Name


class SpeechBody(BaseModel):
    """What to say and how. Unknown fields are ignored, as clients of other servers send their own;
    null means the default."""

    model_config = ConfigDict(strict=True)
    input: str = Field(description="The text to speak")
    model: Name | None = Field(None, description="A served model, or OpenAI's tts-1 … for the first one")
    voice: Name | VoiceId | None = Field(None, description="A voice of the model, or one of OpenAI's names")
    speed: float | None = Field(None, ge=0.25, le=4.0, description="1 = the voice's own pace")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = Field(
        None, description="mp3 unless told otherwise; pcm is 16 bit little-endian at 24,000 Hz"
    )
    stream_format: Literal["audio", "sse"] | None = Field(None, description="Bytes, or events of base64")
    instructions: str | None = Field(None, max_length=4096, description="How to speak, if a model can")
    sample_rate: int | None = Field(None, ge=8000, le=48000, description="Extension: output rate in hertz")
    language: Name | None = Field(None, description="Extension: BCP 47; the voice's own by default")
    timestamp_granularities: list[Literal["word"]] | None = Field(
        None, description="Extension: with sse, speech.audio.words events where the model measures them"
    )
    seed: int | None = Field(None, ge=0, lt=2**63, description="Extension: makes the noise reproducible")


def routes(gateway: Gateway) -> APIRouter:
    """The endpoint."""
    router = APIRouter(tags=["speech"])

    @router.post(
        "/v1/audio/speech",
        responses={**RESPONSES, 200: {"description": "Audio, chunked as it is spoken", "content": _CONTENT}},
        status_code=200,
        response_class=StreamedResponse,
        summary="Text to speech",
    )
    async def create_speech(body: SpeechBody, request: Request) -> StreamedResponse:
        check_text(body.input, gateway.limits.text_characters)
        delivery = Delivery(format=AudioFormat(body.response_format or "mp3"), sample_rate=body.sample_rate)
        languages = {body.language} if body.language else languages_of(body.input)
        audio = gateway.speak(_asked(body), once(body.input), delivery, languages)
        if body.stream_format == "sse":
            events = _events(audio, len(body.input), words=bool(body.timestamp_granularities))
            return StreamedResponse(sse.server_sent(events, request_id(request)), sse.CONTENT_TYPE)
        return StreamedResponse(audio_bytes(audio), CONTENT_TYPES[delivery.format])

    return router


async def audio_bytes(audio: AsyncGenerator[Encoded, None]) -> AsyncGenerator[bytes, None]:
    """The bytes of an encoded stream, none of them empty. Raises EngineError where there are none."""
    spoke = False
    async with aclosing(audio):
        async for encoded in audio:
            if encoded.data:
                spoke = True
                yield encoded.data
    if not spoke:
        raise _silent()


def _silent() -> EngineError:
    return EngineError("Synthesis ended without any audio")


async def _events(
    audio: AsyncGenerator[Encoded, None], characters: int, *, words: bool
) -> AsyncGenerator[dict[str, Any], None]:
    spoke = False
    async with aclosing(audio):
        async for encoded in audio:
            if words and encoded.words:
                timed = [{"word": w.text, "start": w.start, "end": w.end} for w in encoded.words]
                yield {"type": "speech.audio.words", "words": timed}
            if encoded.data:
                spoke = True
                yield {"type": "speech.audio.delta", "audio": base64.b64encode(encoded.data).decode("ascii")}
    if not spoke:
        raise _silent()
    # OpenAI's schema requires the three counts. What goes in is counted in characters, as OpenAI
    # bills tts-1; no audio tokens come out of these models, so none are claimed.
    usage = {"input_tokens": characters, "output_tokens": 0, "total_tokens": characters}
    yield {"type": "speech.audio.done", "usage": usage}


def _asked(body: SpeechBody) -> SpeechRequest:
    voice = body.voice.id if isinstance(body.voice, VoiceId) else body.voice
    return SpeechRequest(
        model=body.model or "",
        voice=voice or "",
        speed=1.0 if body.speed is None else body.speed,
        language=body.language or "",
        instructions=body.instructions or "",
        seed=body.seed,
    )


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"schema": {"type": "string"}}
_CONTENT = {**dict.fromkeys(CONTENT_TYPES.values(), _BINARY), sse.CONTENT_TYPE: _TEXT}
