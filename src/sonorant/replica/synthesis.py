"""What is spoken: text as it comes or marked-up text, as a request wants it and its model can."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from sonorant.errors import RequestError, TextError, UnknownVoiceError, UnsupportedError
from sonorant.replica.utterances import asked, spoken
from sonorant.tasks import (
    AudioChunk,
    Described,
    SpeechRequest,
    Synthesizer,
    Text,
    languages_match,
    mixture,
)

SLOWEST, FASTEST = 0.25, 4.0
"""bounds of SpeechRequest.speed, OpenAI's"""


async def synthesize(
    synthesizer: Synthesizer, request: SpeechRequest, text: Text
) -> AsyncGenerator[AudioChunk, None]:
    """The synthesizer's own chunks. Raises RequestError before the first for what it cannot do."""
    model = synthesizer.describe()
    if isinstance(text, tuple):
        requests = [checked(asked(request, utterance, model), model) for utterance in text]
        audio = spoken(synthesizer, requests, text)
    else:
        audio = synthesizer.synthesize(checked(request, model), text)
    spoke = False
    async with aclosing(audio) as chunks:
        async for chunk in chunks:
            spoke = spoke or bool(chunk.samples.any())
            yield chunk
    if not spoke:
        raise TextError("The text holds nothing that can be spoken", remedy="Send words", param="input")


def checked(request: SpeechRequest, model: Described) -> SpeechRequest:
    """The request with its voice filled in. Raises RequestError for what the model cannot do."""
    names = [voice.name for voice in model.voices]
    asked = mixture(request.voice) if model.voice_mixing and request.voice else {request.voice: 1.0}
    if request.voice and not asked.keys() <= set(names):
        raise UnknownVoiceError(
            f"{model.name} has no voice {request.voice!r}",
            remedy=f"Its voices: {', '.join(names)}",
            param="voice",
        )
    if not SLOWEST <= request.speed <= FASTEST:
        raise RequestError(
            f"The speed {request.speed} is not possible",
            remedy=f"Choose {SLOWEST} to {FASTEST}",
            param="speed",
        )
    if request.seed is not None and request.seed < 0:
        raise RequestError(
            f"The seed {request.seed} is not possible", remedy="Choose 0 or more", param="seed"
        )
    if request.instructions and not model.instructions:
        raise UnsupportedError(
            f"{model.name} cannot follow instructions on how to speak",
            remedy="Leave instructions out, or choose a model that can",
            param="instructions",
        )
    if not languages_match(request.language, model.languages):
        raise UnsupportedError(
            f"{model.name} does not speak {request.language!r}",
            why=f"It speaks {', '.join(model.languages)}",
            remedy="Leave language out, or choose another model",
            param="language",
        )
    return replace(request, voice=request.voice or names[0])
