"""One request and what became of it: the ways of asking a server or a model in this process."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sonorant.bench.http import Answer, Server
from sonorant.bench.playback import Chunk, Heard, heard
from sonorant.bench.sound import Bytes, Onset

if TYPE_CHECKING:
    from sonorant.library import Model

SPEECH_PATH, TRANSCRIPTION_PATH = "/v1/audio/speech", "/v1/audio/transcriptions"
VOCODING_PATH = "/v1/audio/vocodings"
PCM_RATE = 24_000
"""hertz of OpenAI's pcm"""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request brought."""

    audio: float
    """seconds of audio spoken or heard"""
    heard: Heard | None = None
    """of speech: how it would have been heard"""


class RefusedError(Exception):
    """429: the server has too much to do."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("429")
        self.retry_after = retry_after
        """seconds; None = it did not say"""


class FailedError(Exception):
    """No answer that can be used; the text says why, in few different words."""


Ask = Callable[[int, float], Awaitable[Reply]]
"""Send the request of that number; the second argument is when it was due (perf_counter).

Raises RefusedError, FailedError, BrokenOffError, SonorantError.
"""


@dataclass(frozen=True)
class Recording:
    """Speech to be written down."""

    name: str
    data: bytes
    seconds: float


def speaking(server: Server, texts: Sequence[str], fields: Mapping[str, Any], *, whole: bool = False) -> Ask:
    """Speech of a server. `fields` of the request beside its input; its response_format is wav or pcm.

    `whole`: the answer counts when all of it is there, and `stream: false` is sent for servers that know it.
    """
    fields = {**fields, "stream": False} if whole else fields
    bodies = [json.dumps({**fields, "input": text}).encode() for text in texts]
    rate = PCM_RATE if fields["response_format"] == "pcm" else None

    async def ask(number: int, due: float) -> Reply:
        body = bodies[number % len(bodies)]
        sound = Bytes(rate)
        async with server.post(SPEECH_PATH, body, "application/json") as answer:
            await _check(answer)
            chunks = await _chunks(answer, sound, due)
        return _reply(chunks, sound.onset, whole=whole)

    return ask


def vocoding(server: Server, recordings: Sequence[Recording], fields: Mapping[str, str]) -> Ask:
    """Recordings made again by a server's vocoder. The answer is wav.

    `fields` of the form beside the file.
    """
    forms = [_form(recording, {**fields, "response_format": "wav"}) for recording in recordings]

    async def ask(number: int, due: float) -> Reply:
        form, sound = forms[number % len(forms)], Bytes()
        async with server.post(VOCODING_PATH, form, _FORM) as answer:
            await _check(answer)
            chunks = await _chunks(answer, sound, due)
        return _reply(chunks, sound.onset, whole=False)

    return ask


def transcribing(server: Server, recordings: Sequence[Recording], fields: Mapping[str, str]) -> Ask:
    """Transcripts of a server. `fields` of the form beside the file."""
    forms = [_form(recording, fields) for recording in recordings]

    async def ask(number: int, due: float) -> Reply:
        form = forms[number % len(forms)]
        async with server.post(TRANSCRIPTION_PATH, form, _FORM) as answer:
            await _check(answer)
            text = _parsed(await answer.whole()).get("text")
        if not text:
            raise FailedError("an empty transcript")
        return Reply(recordings[number % len(recordings)].seconds)

    return ask


def speaking_here(model: Model, texts: Sequence[str], voice: str = "", *, whole: bool = False) -> Ask:
    """Speech of a model that is loaded in this process."""

    async def ask(number: int, due: float) -> Reply:
        onset = Onset()
        chunks: list[Chunk] = []
        async with model.say(texts[number % len(texts)], voice=voice) as speech:
            async for chunk in speech:
                onset.feed(chunk.samples, chunk.sample_rate)
                chunks.append(Chunk(perf_counter() - due, chunk.seconds))
        return _reply(chunks, onset, whole=whole)

    return ask


def transcribing_here(model: Model, recordings: Sequence[Recording], language: str = "") -> Ask:
    """Transcripts of a model that is loaded in this process."""

    async def ask(number: int, due: float) -> Reply:
        recording = recordings[number % len(recordings)]
        async with model.transcribe(recording.data, language=language) as transcript:
            segments = [segment async for segment in transcript]
        if not segments:
            raise FailedError("an empty transcript")
        return Reply(recording.seconds)

    return ask


def read_recording(path: Path) -> Recording:
    """Raises AudioError where its length cannot be told."""
    from sonorant.audio.decoding import length
    from sonorant.errors import AudioError

    seconds = length(path)
    if not seconds:
        raise AudioError(
            f"{path} does not tell how long it is", remedy="Convert it to wav or flac and use that"
        )
    return Recording(path.name, path.read_bytes(), seconds)


async def _chunks(answer: Answer, sound: Bytes, due: float) -> list[Chunk]:
    chunks = []
    async for data in answer.body:
        at = perf_counter() - due
        if seconds := sound.feed(data):
            chunks.append(Chunk(at, seconds))
    return chunks


def _reply(chunks: list[Chunk], onset: Onset, *, whole: bool) -> Reply:
    if onset.seconds is None:
        raise FailedError("silence" if chunks else "no audio")
    audio = sum(chunk.seconds for chunk in chunks)
    if whole:
        chunks = [Chunk(chunks[-1].at, audio)]
    return Reply(audio, heard(chunks, onset.seconds))


async def _check(answer: Answer) -> None:
    """Raises RefusedError and FailedError."""
    if answer.status == 200:
        return
    problem = _parsed(await answer.whole()).get("error")
    if answer.status == 429:
        after = None
        with suppress(ValueError):
            after = float(answer.headers.get("retry-after", ""))
        raise RefusedError(after)
    problem = problem if isinstance(problem, dict) else {}
    raise FailedError(f"{answer.status} {problem.get('code') or problem.get('message') or ''}".strip()[:120])


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_BOUNDARY = "recording-7d1c4b0e9a52"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"


def _form(recording: Recording, fields: Mapping[str, str]) -> bytes:
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    name = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in recording.name)
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    return "".join([*parts, head]).encode() + recording.data + f"\r\n--{_BOUNDARY}--\r\n".encode()
