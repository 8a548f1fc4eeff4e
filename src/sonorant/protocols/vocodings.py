"""POST /v1/audio/vocodings: a mel spectrogram, or a recording's, to audio. OpenAI has none of this kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile

from sonorant.gateway import Gateway
from sonorant.protocols.connection import StreamedResponse
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.protocols.openai.speech import AUDIO, Format, audio_bytes, content_type
from sonorant.protocols.openai.transcriptions import TIER, Name
from sonorant.protocols.openai.uploads import received
from sonorant.protocols.terms import ServiceTier, terms
from sonorant.tasks import AudioFormat, Delivery, Encoded, VocodingRequest

PATH = "/v1/audio/vocodings"


def routes(gateway: Gateway) -> APIRouter:
    """The endpoint."""
    router = APIRouter(tags=["speech"])

    @router.post(
        PATH,
        responses={**RESPONSES, 200: {"description": "Audio, chunked as it is made", "content": AUDIO}},
        status_code=200,
        response_class=StreamedResponse,
        summary="Mel spectrogram to sound",
    )
    async def create_vocoding(
        request: Request,
        file: Annotated[
            UploadFile, File(description="A .npy of float32 [bins, frames], or a recording to be copied")
        ],
        model: Name = "",
        response_format: Annotated[Format, Form()] = "mp3",
        sample_rate: Annotated[
            int | None, Form(ge=8000, le=48000, description="Output rate in hertz")
        ] = None,
        loudness: Annotated[float | None, Form(ge=-31, le=-9, description="LUFS (EBU R128)")] = None,
        service_tier: Annotated[ServiceTier, Form(description=TIER)] = "auto",
    ) -> StreamedResponse:
        asked = VocodingRequest(model=model, terms=terms(request, service_tier))
        delivery = Delivery(format=AudioFormat(response_format), sample_rate=sample_rate, loudness=loudness)
        audio = _vocoded(gateway, asked, file, delivery)
        return StreamedResponse(audio_bytes(audio), content_type(delivery))

    return router


async def _vocoded(
    gateway: Gateway, asked: VocodingRequest, file: UploadFile, delivery: Delivery
) -> AsyncGenerator[Encoded, None]:
    async with (
        received(file, gateway.limits.upload_bytes) as upload,
        aclosing(gateway.vocode(asked, upload, delivery)) as audio,
    ):
        async for encoded in audio:
            yield encoded
