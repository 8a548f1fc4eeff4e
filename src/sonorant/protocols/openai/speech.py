"""POST /v1/audio/speech: text to speech, streamed from the first audio on."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from sonorant.errors import EngineError, RequestError
from sonorant.gateway import Caching, Gateway
from sonorant.gateway.text import check_text, shortened
from sonorant.observe import logs
from sonorant.protocols.connection import StreamedResponse
from sonorant.protocols.openai import sse
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.protocols.openai.speech_subtitles import CONTENT_TYPES as SUBTITLE_TYPES
from sonorant.protocols.openai.speech_subtitles import Shape, check_timed, subtitles
from sonorant.protocols.terms import QUALITY, QualityWord, ServiceTier, quality, terms
from sonorant.tasks import AudioFormat, Delivery, Encoded, SpeechRequest, Terms
from sonorant.text.languages import languages_of
from sonorant.text.lexicon import entries
from sonorant.text.markup import is_markup, parse

PATH = "/v1/audio/speech"

log = logging.getLogger("sonorant.server")

CONTENT_TYPES: dict[AudioFormat, str] = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg",  # Opus in Ogg pages: RFC 7845 (audio/opus is RTP's, RFC 7587)
    AudioFormat.AAC: "audio/aac",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.PCM: "audio/pcm",
    AudioFormat.MULAW: "audio/PCMU",  # RFC 4856: with the rate as a parameter
    AudioFormat.ALAW: "audio/PCMA",
    AudioFormat.WAV_MULAW: "audio/wav",
    AudioFormat.WAV_ALAW: "audio/wav",
}

CACHE = "x-sonorant-cache"
"""header: hit, miss or joined"""
WARNING = "x-sonorant-warning"
"""header: what of the request was not done, in English"""
IGNORED = "x-sonorant-ignored"
"""header: what of the markup could not be obeyed"""

PATH = "/v1/audio/speech"

Name = Annotated[str, Field(max_length=256)]
Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "mulaw", "alaw", "wav-mulaw", "wav-alaw"]


class VoiceId(BaseModel):
    """A voice as OpenAI's newer clients name it."""

    model_config = ConfigDict(strict=True)
    id: Name


class SpeechBody(BaseModel):
    """What to say and how. Unknown fields are ignored, as clients of other servers send their own;
    null means the default."""

    model_config = ConfigDict(strict=True)
    input: str = Field(description="The text to speak, or SSML: <speak>…</speak>")
    model: Name | None = Field(None, description="A served model, or OpenAI's tts-1 … for the first one")
    voice: Name | VoiceId | None = Field(None, description="A voice of the model, or one of OpenAI's names")
    speed: float | None = Field(None, ge=0.25, le=4.0, description="1 = the voice's own pace")
    response_format: Format | Shape | None = Field(
        None,
        description="mp3 unless told otherwise; pcm is 16 bit little-endian at 24,000 Hz. Extensions: mulaw "
        "and alaw, G.711 at 8,000 Hz; wav-mulaw and wav-alaw, the same in a WAV; srt and vtt, the "
        "subtitles of the speech",
    )
    stream_format: Literal["audio", "sse"] | None = Field(None, description="Bytes, or events of base64")
    instructions: str | None = Field(None, max_length=4096, description="How to speak, if a model can")
    sample_rate: int | None = Field(None, ge=8000, le=48000, description="Extension: output rate in hertz")
    loudness: float | None = Field(
        None, ge=-31, le=-9, description="Extension: LUFS (EBU R128), with true peaks of at most -1 dBTP"
    )
    trim_silence: bool | None = Field(None, description="Extension: no silence at either end")
    language: Name | None = Field(None, description="Extension: BCP 47; the voice's own by default")
    timestamp_granularities: list[Literal["word"]] | None = Field(
        None, description="Extension: with sse, speech.audio.words events where the model measures them"
    )
    lexicon: dict[Name, dict[str, str]] | None = Field(
        None, description='Extension: readings by language and word, {"en": {"GIF": "/dʒɪf/"}}'
    )
    seed: int | None = Field(None, ge=0, lt=2**63, description="Extension: makes the noise reproducible")
    quality: QualityWord | None = Field(None, description=QUALITY)
    service_tier: ServiceTier | None = Field(
        None, description="Extension here: flex or bulk waits until nothing interactive wants the device"
    )
    first_audio_ms: int | None = Field(
        None,
        ge=1,
        le=600_000,
        description="Extension: begin within so many milliseconds, or answer 429 at once",
    )


def routes(gateway: Gateway) -> APIRouter:
    """The endpoint."""
    router = APIRouter(tags=["speech"])

    @router.post(
        PATH,
        responses={**RESPONSES, 200: {"description": "Audio, chunked as it is spoken", "content": _CONTENT}},
        status_code=200,
        response_class=StreamedResponse,
        summary="Text to speech",
    )
    async def create_speech(body: SpeechBody, request: Request) -> StreamedResponse:
        caching = _caching(request)
        asked = terms(request, body.service_tier, body.first_audio_ms)
        spoken = begun(gateway, body, asked, caching)
        headers = {IGNORED: ", ".join(spoken.ignored)} if spoken.ignored else {}
        headers |= {WARNING: spoken.warning} if spoken.warning else {}
        late = partial(_told, caching)
        if body.stream_format == "sse":
            events = _events(spoken.audio, len(body.input), words=bool(body.timestamp_granularities))
            return StreamedResponse(sse.server_sent(events, request.scope), sse.CONTENT_TYPE, headers, late)
        return StreamedResponse(spoken.content(), spoken.content_type, headers, late)

    return router


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a body asks for, on its way."""

    audio: AsyncGenerator[Encoded, None]
    content_type: str
    subtitles: Shape | None
    """asked for in place of the audio"""
    ignored: tuple[str, ...]
    """what of the markup could not be obeyed"""
    warning: str = ""
    """what of the request is not done"""

    def content(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the answer, as they come."""
        return subtitles(self.audio, self.subtitles) if self.subtitles else audio_bytes(self.audio)


def begun(gateway: Gateway, body: SpeechBody, terms: Terms, caching: Caching | None = None) -> Spoken:
    """Raises RequestError; what else is wrong is raised with the first audio."""
    limits, said, warning = gateway.limits, body.input, ""
    if limits.overlong == "cut" and not is_markup(said):
        said, warning = shortened(said, limits.text_characters)
    check_text(said, limits.text_characters)
    logs.words(log, "to be spoken: %r", said)
    delivery = _delivery(body)
    markup = parse(said) if is_markup(said) else None
    languages = {body.language} if body.language else languages_of(markup.text if markup else said)
    text = markup.utterances if markup else said
    asked = _asked(body, terms)
    shape: Shape | None = None
    if body.response_format == "srt" or body.response_format == "vtt":
        replica = gateway.voiced(asked, text, languages, words=True)
        check_timed(replica.describe())
        asked = replace(asked, model=replica.name)
        shape = body.response_format
    audio = gateway.speak(asked, text, delivery, languages, caching)
    kind = SUBTITLE_TYPES[shape] if shape else content_type(delivery)
    return Spoken(audio, kind, shape, markup.ignored if markup else (), warning)


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


def _caching(request: Request) -> Caching:
    """As HTTP's `Cache-Control` asks: no-cache = speak it anew, no-store = do not keep it."""
    asked = {part.strip().lower() for part in request.headers.get("cache-control", "").split(",")}
    return Caching(read="no-cache" not in asked, write="no-store" not in asked)


def _told(caching: Caching) -> dict[str, str]:
    return {CACHE: caching.outcome} if caching.outcome else {}


def _asked(body: SpeechBody, terms: Terms) -> SpeechRequest:
    voice = body.voice.id if isinstance(body.voice, VoiceId) else body.voice
    return SpeechRequest(
        model=body.model or "",
        voice=voice or "",
        speed=1.0 if body.speed is None else body.speed,
        language=body.language or "",
        instructions=body.instructions or "",
        lexicon=entries(body.lexicon or {}),
        seed=body.seed,
        quality=quality(body.quality),
        terms=terms,
    )


def _delivery(body: SpeechBody) -> Delivery:
    shape = body.response_format or "mp3"
    if shape == "srt" or shape == "vtt":
        if body.stream_format == "sse":
            raise RequestError(
                f"{shape} is not sent as events",
                remedy='Leave stream_format out, or ask for audio with timestamp_granularities ["word"]',
                param="stream_format",
            )
        return Delivery(format=AudioFormat.PCM, trim_silence=bool(body.trim_silence))
    return Delivery(
        format=AudioFormat(shape),
        sample_rate=body.sample_rate,
        loudness=body.loudness,
        trim_silence=bool(body.trim_silence),
    )


def content_type(delivery: Delivery) -> str:
    """Of the audio that a delivery asks for."""
    kind = CONTENT_TYPES[delivery.format]
    if delivery.format in (AudioFormat.MULAW, AudioFormat.ALAW):
        return f"{kind};rate={delivery.sample_rate or delivery.format.sample_rate}"
    return kind


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"schema": {"type": "string"}}
AUDIO = dict.fromkeys(CONTENT_TYPES.values(), _BINARY)
"""an answer's content, as OpenAPI has it"""
_CONTENT = {
    **AUDIO,
    **dict.fromkeys(SUBTITLE_TYPES.values(), _TEXT),
    sse.CONTENT_TYPE: {"schema": sse.SCHEMA},
}
