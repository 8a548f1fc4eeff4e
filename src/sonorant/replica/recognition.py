"""What is heard: audio that is decoded already, as a request wants it and its model can."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from sonorant.errors import RequestError, UnsupportedError
from sonorant.replica.claims import Claim, Clock, under
from sonorant.tasks import (
    AudioChunk,
    Described,
    Recognizer,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    languages_match,
)

HOTTEST = 1.0
"""bound of TranscriptionRequest.temperature, OpenAI's"""


async def recognize(
    recognizer: Recognizer, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk], clock: Clock
) -> AsyncGenerator[TranscriptEvent, None]:
    """The recognizer's events; the last one tells what they took of the device.

    Raises RequestError before the first for what it cannot do.
    """
    _check(request, recognizer.describe())
    claim = Claim(request.terms, clock)
    async with aclosing(under(claim, recognizer.recognize(request, audio))) as events:
        async for event in events:
            claim.delivered()
            yield replace(event, spent=claim.spent) if isinstance(event, TranscriptEnd) else event


def _check(request: TranscriptionRequest, model: Described) -> None:
    """Raises RequestError for what the model cannot do."""
    if not 0 <= request.temperature <= HOTTEST:
        raise RequestError(
            f"The temperature {request.temperature} is not possible",
            remedy=f"Choose 0 (the most probable words) to {HOTTEST:g}",
            param="temperature",
        )
    if request.translate and not model.translation:
        raise UnsupportedError(
            f"{model.name} writes down what is said and cannot translate it",
            remedy="Choose a model that can, such as whisper-base",
            param="model",
        )
    if not languages_match(request.language, model.languages):
        raise UnsupportedError(
            f"{model.name} does not know the language {request.language!r}",
            why=f"It knows {', '.join(model.languages)}",
            remedy="Leave language out, or choose another model",
            param="language",
        )
