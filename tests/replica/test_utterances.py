"""Marked-up text is spoken piece by piece, with exactly the pauses that were asked for."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np
import pytest

from sonorant.errors import UnknownVoiceError
from sonorant.replica.utterances import asked, spoken
from sonorant.tasks import AudioChunk, Described, SpeechRequest, Task, Utterance, Voice, Word
from sonorant.text.markup import parse

RATE = 8000
MODEL = Described(
    name="bell",
    task=Task.SPEECH,
    languages=("en", "zh"),
    voices=(Voice("amy", "en", "female"), Voice("bob", "en", "male"), Voice("云", "zh-CN", "male")),
    sample_rate=RATE,
)
REQUEST = SpeechRequest(model="bell", voice="amy", speed=1.5)


class Bell:
    """Rings for 0.1 s a word, and is quiet for 0.3 s behind each sentence."""

    def __init__(self) -> None:
        self.requests: list[SpeechRequest] = []

    def describe(self) -> Described:
        return MODEL

    async def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]:
        self.requests.append(request)
        async for whole in text:
            for sentence in whole.split("."):
                if words := sentence.split():
                    tone = 0.25 * np.sin(np.arange(RATE * len(words) // 10) * 0.7)
                    samples = np.concatenate([tone, np.zeros(RATE * 3 // 10)]).astype(np.float32)
                    yield AudioChunk(samples, RATE, (Word(words[0], 0.0, 0.1),))


def ring(document: str) -> tuple[Bell, list[AudioChunk]]:
    bell, utterances = Bell(), parse(document).utterances

    async def main() -> list[AudioChunk]:
        requests = [asked(REQUEST, utterance, MODEL) for utterance in utterances]
        return [chunk async for chunk in spoken(bell, requests, utterances)]

    return bell, asyncio.run(main())


def stretches(chunks: list[AudioChunk]) -> list[tuple[bool, float]]:
    """Sound and silence by turns, seconds."""
    samples = np.concatenate([chunk.samples for chunk in chunks])
    frame = RATE // 100
    loud = [bool(np.abs(samples[i : i + frame]).max() > 0.01) for i in range(0, len(samples), frame)]
    found: list[tuple[bool, float]] = []
    for is_loud in loud:
        if found and found[-1][0] == is_loud:
            found[-1] = (is_loud, round(found[-1][1] + 0.01, 2))
        else:
            found.append((is_loud, 0.01))
    return found


def test_a_break_is_as_long_as_asked_for() -> None:
    _, chunks = ring('<speak>one two<break time="1s"/>three</speak>')
    assert stretches(chunks)[:3] == [(True, 0.2), (False, 1.0), (True, 0.1)]


def test_a_short_break_shortens_the_voices_own_pause() -> None:
    _, chunks = ring('<speak>one<break time="100ms"/>two</speak>')
    assert stretches(chunks)[1] == (False, 0.1)


def test_sentences_inside_an_utterance_keep_the_voices_pause() -> None:
    _, chunks = ring("<speak>one. two.</speak>")
    assert stretches(chunks)[:3] == [(True, 0.1), (False, 0.3), (True, 0.1)]


def test_a_change_of_manner_inside_a_sentence_leaves_hardly_a_pause() -> None:
    _, chunks = ring('<speak>one <prosody rate="slow">two</prosody></speak>')
    kind, seconds = stretches(chunks)[1]
    assert not kind
    assert seconds < 0.1


def test_words_stay_with_their_sound() -> None:
    _, chunks = ring('<speak>one. two.<break time="1s"/>three</speak>')
    assert [word.text for chunk in chunks for word in chunk.words or ()] == ["one", "two", "three"]
    assert all(chunk.words is not None for chunk in chunks)


def test_each_utterance_has_its_manner() -> None:
    bell, chunks = ring(
        '<speak>one<prosody rate="50%" volume="-20dB">two</prosody><voice gender="male">three</voice>'
        '<voice gender="male" xml:lang="zh">四</voice></speak>'
    )
    assert [request.voice for request in bell.requests] == ["amy", "amy", "bob", "云"]
    assert [request.speed for request in bell.requests] == [1.5, 0.75, 1.5, 1.5]
    assert bell.requests[3].language == "zh"
    loudest = [float(np.abs(chunk.samples).max()) for chunk in chunks if np.abs(chunk.samples).max() > 0.01]
    assert loudest[1] == pytest.approx(loudest[0] / 10, rel=0.02)


def test_a_gender_that_no_voice_has_is_refused() -> None:
    with pytest.raises(UnknownVoiceError, match="no female voice"):
        asked(REQUEST, Utterance(text="四", gender="female", language="zh"), MODEL)


def test_a_pause_alone_is_silence() -> None:
    bell, chunks = ring('<speak><break time="1s"/>one</speak>')
    assert len(bell.requests) == 1
    assert stretches(chunks)[0] == (False, 1.0)
