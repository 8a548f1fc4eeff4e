"""A server with fake replicas, in process (`client`) and on a loopback port (`serve`)."""

import asyncio
import atexit
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx
import pytest
import uvicorn

from sonorant.gateway import Gateway
from sonorant.protocols.app import create_app
from sonorant.protocols.http import Http
from sonorant.settings import JobSettings, LimitSettings, ServerSettings, Settings
from sonorant.tasks import (
    Cost,
    Described,
    Encoded,
    Figure,
    Load,
    Segment,
    Snapshot,
    State,
    Task,
    TranscriptEnd,
    Voice,
)

FOLDERS = tempfile.mkdtemp(prefix="sonorant-jobs-")
"""where applications keep files and batches; never the user's own folder"""
atexit.register(shutil.rmtree, FOLDERS, ignore_errors=True)


@dataclass
class Step:
    """What a fake replica does next: yield an event, raise an error, or wait until it is let go on."""

    event: object = None
    error: Exception | None = None
    hold: bool = False


@dataclass
class FakeReplica:
    """A replica that follows a script and remembers what it was asked."""

    name: str
    task: Task
    script: list[Step]
    voices: tuple[Voice, ...] = ()
    state: State = State.READY
    reason: str = ""
    notice: str = ""
    instructions: bool = False
    word_times: bool = False
    translation: bool = False
    languages: tuple[str, ...] = ("en",)
    varied: bool = False
    idle_seconds: float = 0.0
    probed: int = 0
    cost: Cost | None = None
    artefact: str = ""
    asked: list = field(default_factory=list)
    running: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    tuned: list = field(default_factory=list)
    tiers: bool = False
    batched: bool = False
    memory: int = 0
    exhausted: int = 0

    def describe(self) -> Described:
        return Described(
            name=self.name,
            task=self.task,
            languages=self.languages,
            voices=self.voices,
            instructions=self.instructions,
            word_times=self.word_times,
            translation=self.translation,
            varied=self.varied,
            cost=self.cost,
            artefact=self.artefact,
            tiers=self.tiers,
            batched=self.batched,
        )

    def load(self) -> Load:
        return Load(slots=2, memory=self.memory)

    async def wake(self) -> None:
        self.state = State.READY

    async def probe(self, seconds: float) -> bool:
        self.probed += 1
        return True

    def figures(self) -> tuple[Snapshot, ...]:
        return (Snapshot(self.name, (Figure("out_of_memory", (), self.exhausted),)),)

    def tune(self, window_ms, max_frames):
        self.tuned.append((window_ms, max_frames))

    async def unload(self):
        if self.state is State.READY:
            self.state = State.UNLOADED
            return True
        return False

    async def speak(self, request, text, delivery) -> AsyncIterator[Encoded]:
        whole = text if isinstance(text, tuple) else "".join([piece async for piece in text])
        self.asked.append((request, whole, delivery))
        async for event in self._follow():
            yield event

    async def transcribe(self, request, upload):
        source = upload.source
        self.asked.append((request, upload, source if isinstance(source, bytes) else source.read_bytes()))
        async for event in self._follow():
            yield event

    async def vocode(self, request, upload, delivery):
        self.asked.append((request, upload, delivery))
        async for event in self._follow():
            yield event

    async def _follow(self):
        self.running.set()
        try:
            for step in self.script:
                if step.hold:
                    await asyncio.sleep(60)
                if step.error is not None:
                    raise step.error
                if step.event is not None:
                    yield step.event
                await asyncio.sleep(0)
        finally:
            self.closed.set()


def speaker(**changes) -> FakeReplica:
    voices = (
        Voice("amy", "en-US", "female", "calm"),
        Voice("bob", "en-US", "male"),
        Voice("cat", "en-GB", "female"),
        Voice("ulf", "sv-SE", "male"),
    )
    script = [Step(Encoded(b"", 0.3)), Step(Encoded(b"head", 0.2)), Step(Encoded(b"-body", 0.5))]
    usual = {"name": "hibari", "task": Task.SPEECH, "script": script, "voices": voices}
    return FakeReplica(**usual | changes)


def listener(**changes) -> FakeReplica:
    script = [
        Step(Segment(0.5, 2.25, "Hello there.", "en", (1, 2), -0.25, 0.0625)),
        Step(Segment(3.0, 4.5, "Second & last.", "en")),
        Step(TranscriptEnd(5.5)),
    ]
    usual = {"name": "moonshine", "task": Task.TRANSCRIPTION, "script": script}
    return FakeReplica(**usual | changes)


def application(
    *replicas: FakeReplica, server: dict | None = None, limits: dict | None = None, jobs: dict | None = None
):
    """Files and batches are kept in a folder of its own, unless `jobs` names one."""
    settings = Settings(
        server=ServerSettings(**server or {}),
        limits=LimitSettings(**limits or {}),
        jobs=JobSettings(**{"folder": tempfile.mkdtemp(dir=FOLDERS)} | (jobs or {})),
    )
    gateway = Gateway(
        replicas or (speaker(), listener()), settings.limits, settings.server.keys, settings.cache
    )
    return create_app(gateway, settings, "1.2.3")


@contextmanager
def served(app) -> Iterator[str]:
    """The address of a real server on a free loopback port."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()  # clients queue here until the server has started
    config = uvicorn.Config(app, http=Http, ws="none", log_level="critical", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        host, port = bound.getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        bound.close()
        assert not thread.is_alive()


@pytest.fixture
def fakes() -> SimpleNamespace:
    return SimpleNamespace(speaker=speaker, listener=listener, Step=Step, application=application)


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """Ask an application one thing, in process."""

    def once(app, method: str, path: str, **request) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:
                return await client.request(method, path, **request)

        return asyncio.run(main())

    return once


@pytest.fixture
def serve():
    return served
