"""Logs: their form, the request in every line, and none of the users' words."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import httpx
import pytest

from sonorant.errors import EngineError, TextError
from sonorant.gateway import Gateway
from sonorant.observe import logs
from sonorant.observe.context import request_id
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.protocols.app import create_app
from sonorant.replica import Device
from sonorant.settings import LogSettings, Settings
from sonorant.tasks import Described, Encoded, Load, Segment, State, Task, TranscriptEnd, Voice

SECRETS = ("xylophone", "marzipan", "吹笛人")
ours = logging.getLogger("sonorant.server")
theirs = logging.getLogger("some.library")


@contextmanager
def logging_to(stream: io.StringIO, **settings) -> Iterator[None]:
    """As `sonorant serve` sets it up; everything as it was afterwards."""
    root, us = logging.getLogger(), logging.getLogger("sonorant")
    before = root.handlers[:], root.level, us.level
    try:
        logs.configure(LogSettings(**settings), "gateway", stream)
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        us.setLevel(before[2])
        logs._words = False


@contextmanager
def serving(name: str) -> Iterator[None]:
    token = request_id.set(name)
    try:
        yield
    finally:
        request_id.reset(token)


def written(**settings) -> str:
    """What two lines and a failure look like."""
    stream = io.StringIO()
    with logging_to(stream, **settings):
        ours.info("model %s is ready", "hibari")
        with serving("r1"):
            ours.info("answered", extra={"fields": {"status": 200}})
            try:
                raise EngineError("The engine failed", why="Failed to allocate memory")
            except EngineError:
                ours.exception("request failed")
    return stream.getvalue()


def test_lines_for_people():
    lines = written().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO model hibari is ready", lines[0])
    assert lines[1].endswith(" INFO answered [r1]")
    assert lines[2].endswith(" ERROR request failed [r1]")
    assert lines[-1] == "EngineError: The engine failed. Failed to allocate memory."


def test_lines_for_programs():
    first, second, third = map(json.loads, written(format="json").splitlines())
    assert first.keys() == {"time", "level", "logger", "process", "message"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first["time"])
    assert (first["level"], first["process"], first["message"]) == (
        "info",
        "gateway",
        "model hibari is ready",
    )
    assert (second["request_id"], second["status"]) == ("r1", 200)
    assert third["request_id"] == "r1"
    assert third["exception"].endswith("EngineError: The engine failed. Failed to allocate memory.")


def test_the_level_is_that_of_our_own_lines():
    stream = io.StringIO()
    with logging_to(stream, level="debug"):
        ours.debug("ours")
        theirs.info("theirs")
        theirs.warning("a warning of theirs")
    assert [line.partition("Z")[0].split(" ", 3)[3] for line in stream.getvalue().splitlines()] == [
        "ours", "a warning of theirs",
    ]  # fmt: skip
    assert "is ready" not in written(level="error")


def everything_that_goes_wrong() -> None:
    """What a library may do with the words that it is given."""
    theirs.warning("cannot pronounce %r", SECRETS[0])
    try:
        try:
            raise ValueError(f"no reading for {SECRETS[1]}")
        except ValueError as error:
            raise TextError(f"The text {SECRETS[2]!r} is not spoken here") from error
    except TextError:
        ours.exception("request failed")


def test_messages_that_may_quote_a_user_are_left_out_while_a_request_is_served():
    for form in ("text", "json"):
        stream = io.StringIO()
        with logging_to(stream, format=form), serving("r1"):
            everything_that_goes_wrong()
        told = stream.getvalue()
        assert not [secret for secret in SECRETS if secret in told]
        assert all(name in told for name in ("some.library", "ValueError", "TextError", "test_logs.py", "r1"))


def test_outside_of_requests_libraries_say_what_they_like():
    stream = io.StringIO()
    with logging_to(stream):
        everything_that_goes_wrong()
    assert all(secret in stream.getvalue() for secret in SECRETS)


def test_the_words_are_there_when_they_are_asked_for_and_that_is_said():
    stream = io.StringIO()
    with logging_to(stream, text=True):
        assert "WARNING log.text is on" in stream.getvalue()
        with serving("r1"):
            everything_that_goes_wrong()
            logs.words(ours, "heard: %r", "good morning")
    assert all(word in stream.getvalue() for word in (*SECRETS, "good morning"))


class Mishaps:
    """Replicas in which libraries quote what they are given, at every chance."""

    state, reason = State.READY, ""

    def __init__(self, name: str, task: Task) -> None:
        self.name, self.task = name, task
        self.device, self.meter = Device("cpu", slots=2), Meter(Figures(), "decoder")
        self.endings = cycle(("well", "late", "early"))

    def describe(self) -> Described:
        return Described(name=self.name, task=self.task, languages=("en",), voices=(Voice("amy", "en"),))

    def load(self) -> Load:
        return Load(slots=2)

    def figures(self):
        return (self.meter.figures.snapshot(),)

    async def speak(self, request, text, delivery):
        said = "".join([piece async for piece in text])
        async for event in self._answer(said, Encoded(b"audio", 1.0)):
            yield event

    async def transcribe(self, request, upload):
        source = upload.source if isinstance(upload.source, bytes) else upload.source.read_bytes()
        async for event in self._answer(
            source.decode(), Segment(0, 1, source.decode(), "en"), TranscriptEnd(1.0)
        ):
            yield event

    async def _answer(self, words: str, *events: object):
        ending = next(self.endings)
        await self.device.run(self.meter.timed(lambda: theirs.warning("computing %s", words)))
        if ending == "early":
            raise RuntimeError(f"cannot do {words}")
        for event in events:
            yield event
        if ending == "late":
            raise OSError(f"lost {words}")


def busy_server(**settings) -> tuple[str, list[int]]:
    """All that is logged by a server of which everything is asked, and its answers."""
    replicas = [Mishaps("hibari", Task.SPEECH), Mishaps("moonshine", Task.TRANSCRIPTION)]
    app = create_app(Gateway(replicas, Settings().limits), Settings(), "1.2.3")
    words = " ".join(SECRETS)

    async def main() -> list[int]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:

            def speech(**body) -> object:
                return client.post("/v1/audio/speech", json={"input": words, **body})

            def transcription(**data) -> object:
                return client.post(
                    "/v1/audio/transcriptions", files={"file": (f"{words}.wav", words.encode())}, data=data
                )

            asked = [
                *(speech() for _ in range(6)),
                *(speech(stream_format="sse") for _ in range(6)),
                *(transcription() for _ in range(6)),
                *(transcription(stream="true") for _ in range(6)),
                speech(voice=SECRETS[0]),
                speech(model=SECRETS[1]),
                speech(speed=SECRETS[0]),
                speech(instructions=words),
                speech(lexicon={"en": {SECRETS[0]: "/x/"}}),
                speech(input=f"<speak><voice name='{SECRETS[0]}'>{SECRETS[1]}</voice></speak>"),
                transcription(prompt=words, language="en"),
                client.get(f"/{SECRETS[0]}?text={SECRETS[1]}"),
                client.post("/v1/audio/speech", content=f'{{"input": "{SECRETS[0]}'),
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
        return [answer.status_code for answer in answers if isinstance(answer, httpx.Response)]

    stream = io.StringIO()
    with logging_to(stream, **settings):
        statuses = asyncio.run(main())
    for replica in replicas:
        replica.device.close()
    return stream.getvalue(), statuses


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_word_of_a_user_is_in_the_log_of_a_busy_server(form):
    told, statuses = busy_server(format=form, level="debug")
    assert {200, 400, 404, 500} <= set(statuses)
    assert not [secret for secret in SECRETS if secret in told]
    assert told.count("some.library says something") >= 24  # it was said, and left out
    assert told.count("Error: left out") >= 8
    ids = {json.loads(line)["request_id"] for line in told.splitlines()} if form == "json" else set()
    assert form == "text" or len(ids) == 33  # every line has one


def test_a_busy_server_that_may_log_its_users_words_does():
    told, _ = busy_server(text=True)
    assert all(secret in told for secret in SECRETS)
    assert "to be spoken: " in told
    assert "heard: " in told
