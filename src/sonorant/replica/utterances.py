"""Speaking utterances: each in its own manner, with the silence that is asked for between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.joins import pause_after, sound
from sonorant.errors import UnknownVoiceError
from sonorant.tasks import (
    AudioChunk,
    Described,
    SpeechRequest,
    Synthesizer,
    Utterance,
    Voice,
    languages_match,
)
from sonorant.text.segment import once


def asked(request: SpeechRequest, utterance: Utterance, model: Described) -> SpeechRequest:
    """The request as it is for one utterance. Raises UnknownVoiceError."""
    return replace(
        request,
        voice=_voice(request, utterance, model),
        language=utterance.language or request.language,
        speed=request.speed * utterance.rate,
        lexicon=request.lexicon + utterance.lexicon,
    )


async def spoken(
    synthesizer: Synthesizer, requests: Sequence[SpeechRequest], utterances: Sequence[Utterance]
) -> AsyncGenerator[AudioChunk, None]:
    """The synthesizer's chunks, float32 at its own rate, `requests[i]` being for `utterances[i]`.

    The silence that a chunk ends with is held back until what follows it is known; sound never waits.
    """
    rate = synthesizer.describe().sample_rate or 0
    for request, utterance in zip(requests, utterances, strict=True):
        held = np.zeros(0, np.float32)
        if utterance.text:
            async with aclosing(synthesizer.synthesize(request, once(utterance.text))) as chunks:
                async for chunk in chunks:
                    rate = chunk.sample_rate
                    _, end = sound(chunk.samples, rate)
                    if len(held):
                        yield AudioChunk(held, rate, None if chunk.words is None else ())
                    yield replace(chunk, samples=_louder(chunk.samples[:end], utterance.gain))
                    held = _louder(chunk.samples[end:], utterance.gain)
        pause = utterance.pause
        seconds = pause_after(paragraph=utterance.paragraph) if pause is None else pause
        if samples := round(seconds * rate):
            # what the voice left of its own breath, and then nothing
            tail = np.zeros(samples, np.float32)
            tail[: min(samples, len(held))] = held[:samples]
            yield AudioChunk(tail, rate, ())


def _louder(samples: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    return samples if gain == 1 else np.clip(samples * np.float32(gain), -1, 1)


def _voice(request: SpeechRequest, utterance: Utterance, model: Described) -> str:
    if utterance.voice or not utterance.gender:
        return utterance.voice or request.voice
    language = utterance.language or request.language or _named(model, request.voice).language
    for voice in model.voices:
        if voice.gender == utterance.gender and languages_match(language, [voice.language]):
            return voice.name
    raise UnknownVoiceError(
        f"{model.name} has no {utterance.gender} voice for the language {language!r}",
        remedy="Name a voice, or leave the gender out",
        param="voice",
    )


def _named(model: Described, name: str) -> Voice:
    return next((voice for voice in model.voices if voice.name == name), model.voices[0])
