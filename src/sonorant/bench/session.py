"""What is asked, of whom: a server by its address, or a model that is loaded here."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from sonorant.bench import report
from sonorant.bench.asking import (
    SPEECH_PATH,
    Ask,
    Recording,
    read_recording,
    speaking,
    speaking_here,
    transcribing,
    transcribing_here,
)
from sonorant.bench.http import BrokenOffError, Server
from sonorant.bench.processes import Processes, listening
from sonorant.bench.report import Plan, Report
from sonorant.bench.sound import Bytes, NotAudioError
from sonorant.bench.texts import sentences
from sonorant.errors import RequestError, ServerError
from sonorant.tasks import Task

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress
    from sonorant.library import Model
    from sonorant.settings import Settings

SPOKEN_FIRST = 10
"""sentences that a speech model says where no recording was given"""
FIRST_SECONDS = 120.0
"""the longest that one of them may take"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What every request asks for."""

    transcribing: bool = False
    model: str = ""
    voice: str = ""
    language: str = "en"
    texts: Path | None = None
    recordings: tuple[Path, ...] = ()
    format: str = "wav"
    whole: bool = False
    seed: int = 0

    def sentences(self) -> list[str]:
        """In the order in which they are asked for. Raises TextError."""
        return sentences(self.language, self.texts, self.seed)


def served(asked: Asked, plan: Plan, url: str, key: str, pid: int | None, say: Say) -> Report:
    """Put a server under load. Raises RequestError and ServerError before the first load."""
    try:
        server = Server(url, key)
    except ValueError as error:
        raise RequestError(
            f"{url} is no address of a server", remedy="Write it as http://HOST:PORT", param="url"
        ) from error
    processes = _processes(server, pid)

    async def run() -> Report:
        try:
            ask = await _of_server(server, asked)
            return await report.run(ask, plan, processes, progress=say)
        finally:
            server.close()

    return _described(asyncio.run(run()), asked, url)


def here(asked: Asked, plan: Plan, settings: Settings, progress: Progress | None, say: Say) -> Report:
    """Load a model and put it under load, in this process. Raises what `sonorant.load` raises."""
    from sonorant.library import Model, default_model

    languages = frozenset({asked.language})
    task = Task.TRANSCRIPTION if asked.transcribing else Task.SPEECH
    model = Model(asked.model or default_model(task, languages), settings, progress)
    ask: Ask
    if asked.transcribing:
        recordings = [read_recording(path) for path in asked.recordings]
        if not recordings:
            voice = Model(default_model(Task.SPEECH, languages), settings, progress)
            recordings = [_spoken(voice, text) for text in asked.sentences()[:SPOKEN_FIRST]]
            voice.close()
        ask = transcribing_here(model, recordings, asked.language)
    else:
        ask = speaking_here(model, asked.sentences(), asked.voice, whole=asked.whole)
    processes = Processes(os.getpid())
    found = asyncio.run(report.run(ask, plan, processes, own=True, progress=say))
    model.close()
    return _described(found, asked, f"{model.name}, in process")


def _processes(server: Server, pid: int | None) -> Processes | None:
    pids = [pid] if pid is not None else listening(server.host, server.port)
    try:
        return Processes(*pids) if pids else None
    except psutil.NoSuchProcess as error:
        raise RequestError(f"There is no process {pid}", remedy="Check --pid", param="pid") from error


async def _of_server(server: Server, asked: Asked) -> Ask:
    voice = {"voice": asked.voice or "alloy", "response_format": asked.format}
    if not asked.transcribing:
        fields = {"model": asked.model or "tts-1", **voice}
        return speaking(server, asked.sentences(), fields, whole=asked.whole)
    recordings = [read_recording(path) for path in asked.recordings]
    if not recordings:
        recordings = [await _spoken_by(server, text) for text in asked.sentences()[:SPOKEN_FIRST]]
    return transcribing(server, recordings, {"model": asked.model or "whisper-1", "language": asked.language})


async def _spoken_by(server: Server, text: str) -> Recording:
    """A sentence that the server itself says."""
    body: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}
    content = json.dumps(body).encode()
    sound = Bytes()
    try:
        async with (
            asyncio.timeout(FIRST_SECONDS),
            server.post(SPEECH_PATH, content, "application/json") as answer,
        ):
            data = await answer.whole()
            reason = f"It answered {answer.status}"
            seconds = sound.feed(data) if answer.status == 200 else 0.0
    except TimeoutError:
        seconds, reason = 0.0, f"It took more than {FIRST_SECONDS:g} s"
    except (BrokenOffError, NotAudioError) as error:
        seconds, reason = 0.0, str(error)
    if not seconds:
        raise ServerError(
            "The server does not speak the sentences that it is to write down",
            why=reason,
            remedy="Name a recording with --recording",
        )
    return Recording("sentence.wav", data, seconds)


def _spoken(voice: Model, text: str) -> Recording:
    from sonorant.audio.files import write
    from sonorant.tasks import AudioFormat

    file = io.BytesIO()
    chunk = voice.say(text).result()
    write([chunk], file, AudioFormat.WAV, None)
    return Recording("sentence.wav", file.getvalue(), chunk.seconds)


def _described(found: Report, asked: Asked, whom: str) -> Report:
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "sonorant": version("sonorant"),
        "asked": whom,
        "task": "transcription" if asked.transcribing else "speech",
        "streamed": str(not asked.whole).lower(),
        "cores": str(os.cpu_count()),
    }
    return replace(found, facts=facts)
