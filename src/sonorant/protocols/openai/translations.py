"""POST /v1/audio/translations: a recording in any language to English text."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from sonorant.gateway import Gateway
from sonorant.protocols.connection import until_gone
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.protocols.openai.transcriptions import CONTENT, TIER, Name, Shape, shaped, whole
from sonorant.protocols.terms import QUALITY, QualityWord, ServiceTier, quality, terms
from sonorant.tasks import TranscriptionRequest

PATH = "/v1/audio/translations"


def routes(gateway: Gateway) -> APIRouter:
    """The endpoint."""
    router = APIRouter(tags=["transcription"])

    @router.post(
        PATH,
        responses={**RESPONSES, 200: {"description": "The translation", "content": CONTENT}},
        response_model=None,
        summary="Speech in any language to English text",
    )
    async def create_translation(
        request: Request,
        file: Annotated[UploadFile, File(description="A recording in any usual audio format")],
        model: Name = "",
        prompt: Annotated[str, Form(max_length=16384)] = "",
        response_format: Annotated[Shape, Form()] = "json",
        temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
        language: Annotated[str, Form(max_length=256, description="Extension: what is spoken")] = "",
        itn: Annotated[bool, Form(description="Extension: write spoken numbers as digits")] = False,
        service_tier: Annotated[ServiceTier, Form(description=TIER)] = "auto",
        tier: Annotated[QualityWord | None, Form(alias="quality", description=QUALITY)] = None,
    ) -> Response:
        asked = TranscriptionRequest(
            model=model,
            language=language,
            prompt=prompt,
            temperature=temperature,
            itn=itn,
            translate=True,
            quality=quality(tier),
            terms=terms(request, service_tier),
        )
        translation = await until_gone(request.receive, whole(gateway, asked, file))
        return shaped(translation, response_format)

    return router
