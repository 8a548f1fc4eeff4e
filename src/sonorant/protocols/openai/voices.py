"""GET /v1/audio/voices: who can speak, and how it sounds."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from sonorant.errors import UnsupportedError
from sonorant.gateway import Gateway
from sonorant.gateway.voices import resolve_voice
from sonorant.protocols.connection import until_gone
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.protocols.openai.speech import CONTENT_TYPES, audio_bytes
from sonorant.protocols.root_path import root_path
from sonorant.protocols.terms import terms
from sonorant.tasks import AudioFormat, Delivery, SpeechRequest, State, Task, Terms, Voice

SENTENCES = {
    "de": "So klinge ich. Schön, dass Sie zuhören.",
    "en": "This is how I sound. Thank you for listening.",
    "es": "Así es como sueno. Gracias por escucharme.",
    "fr": "Voici le son de ma voix. Merci de votre écoute.",
    "it": "Questa è la mia voce. Grazie per l'ascolto.",
    "ja": "これが私の声です。聞いてくれてありがとう。",
    "ko": "제 목소리는 이렇습니다. 들어 주셔서 감사합니다.",
    "nl": "Zo klink ik. Bedankt voor het luisteren.",
    "pl": "Tak brzmi mój głos. Dziękuję za uwagę.",
    "pt": "É assim que eu soo. Obrigado por ouvir.",
    "ru": "Так звучит мой голос. Спасибо, что слушаете.",
    "zh": "这就是我的声音。谢谢您的收听。",
}
"""what a preview says, by ISO 639-1; voices of other languages are not previewed"""

KEPT_PREVIEWS = 64
"""of about 50 KB each"""


class VoiceInfo(BaseModel):
    """A voice that can be asked for."""

    id: str
    name: str
    model: str
    language: str
    gender: str
    description: str
    preview_url: str | None
    """a path on this server; null where no preview is spoken in the voice's language"""


class VoiceList(BaseModel):
    object: str = "list"
    data: list[VoiceInfo]


def routes(gateway: Gateway) -> APIRouter:
    """The list, and a short recording of each voice."""
    router = APIRouter(tags=["speech"])
    previews: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    @router.get(
        "/v1/audio/voices",
        summary="The voices of all models that are ready",
        responses={code: RESPONSES[code] for code in (401, 500)},
    )
    async def list_voices(request: Request) -> VoiceList:
        ready = [r for r in gateway.router.replicas if r.task is Task.SPEECH and r.state is State.READY]
        root = root_path(request.scope)
        return VoiceList(data=[_info(r.name, voice, root) for r in ready for voice in r.describe().voices])

    @router.get(
        "/v1/audio/voices/{model}/{voice}/preview",
        summary="How a voice sounds, as mp3",
        response_class=Response,
        responses={**RESPONSES, 200: {"content": {"audio/mpeg": {}}}},
    )
    async def preview_voice(model: str, voice: str, request: Request) -> Response:
        replica = gateway.router.choose(model, Task.SPEECH)
        described = replica.describe()
        name = resolve_voice(described, voice)
        key = replica.name, name
        if key not in previews:
            language = next((v.language for v in described.voices if v.name == name), "")
            work = _spoken(gateway, replica.name, name, _sentence(name, language), terms(request, None))
            previews[key] = await until_gone(request.receive, work)
            while len(previews) > KEPT_PREVIEWS:
                previews.popitem(last=False)
        previews.move_to_end(key)
        return Response(previews[key], media_type=CONTENT_TYPES[AudioFormat.MP3])

    return router


async def _spoken(gateway: Gateway, model: str, voice: str, sentence: str, terms: Terms) -> bytes:
    request = SpeechRequest(model=model, voice=voice, terms=terms)
    audio = gateway.speak(request, sentence, Delivery(format=AudioFormat.MP3))
    async with aclosing(audio_bytes(audio)) as pieces:
        return b"".join([piece async for piece in pieces])


def _sentence(voice: str, language: str) -> str:
    sentence = SENTENCES.get(_primary(language))
    if sentence is None:
        raise UnsupportedError(
            f"{voice} has no preview",
            why=f"There is no sentence for it in {language or 'its language, which is not known'}",
            remedy="Let it speak a sentence of yours with POST /v1/audio/speech",
        )
    return sentence


def _info(model: str, voice: Voice, root: str) -> VoiceInfo:
    preview = f"{root}/v1/audio/voices/{quote(model, safe='')}/{quote(voice.name, safe='')}/preview"
    return VoiceInfo(
        id=voice.name,
        name=voice.name,
        model=model,
        language=voice.language,
        gender=voice.gender,
        description=voice.description,
        preview_url=preview if _primary(voice.language) in SENTENCES else None,
    )


def _primary(language: str) -> str:
    return language.split("-")[0].lower()
