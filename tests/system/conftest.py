"""Real servers in subprocesses, with real models, as users start them."""

import io
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import openai
import psutil
import pytest

from listening import word_errors

LOADING_SECONDS = 300
"""until a server must be ready; it may have to fetch 80 MB first"""
STOPPING_SECONDS = 30

# long enough for several pieces of each format, and nothing in it that can be written in two ways
TEXT = (
    "She opened the window and listened to the rain falling softly on the garden below. "
    "Please keep your seat belt fastened until the captain turns off the sign."
)


class Server:
    """A server process with its log, its address and its clients."""

    def __init__(self, command: Sequence[str], folder: Path, port: int, environment: dict[str, str]) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self._log = folder / f"server-{port}.log"
        with self._log.open("wb") as log:
            self.process = psutil.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def sdk(self, key: str = "none needed", path: str = "/v1") -> openai.OpenAI:
        """OpenAI's own client. To be closed."""
        return openai.OpenAI(base_url=f"{self.url}{path}", api_key=key, max_retries=0, timeout=60)

    def async_sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="none needed", max_retries=0)

    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def last_words(self) -> str:
        return self.log()[-2000:]

    def wait_until(self, true: Callable[[], object], seconds: float) -> None:
        """Ask again and again while the process lives."""
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.last_words()
            assert time.monotonic() < deadline, self.last_words()
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            return self.http.get("/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_settled(self) -> None:
        """Until each model works or has failed."""
        self.wait_until(self.answers, LOADING_SECONDS)
        self.wait_until(lambda: self.http.get("/health/ready").json()["status"] != "loading", LOADING_SECONDS)

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics; 0 where it is not there yet."""
        from prometheus_client.parser import text_string_to_metric_families

        for family in text_string_to_metric_families(self.http.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return 0.0

    def family(self) -> list[psutil.Process]:
        """The process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal → exit status. Nothing may be left of the server afterwards."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(STOPPING_SECONDS)
        assert_ended(family)
        return int(code)

    def close(self) -> None:
        """End it whatever state it is in."""
        self.http.close()
        if self.process.poll() is None:
            for process in reversed(self.family()):
                process.kill()
            self.process.wait(STOPPING_SECONDS)


def assert_ended(processes: list[psutil.Process]) -> None:
    """All of them end within some seconds."""
    deadline = time.monotonic() + 10
    while left := [process for process in processes if _alive(process)]:
        assert time.monotonic() < deadline, f"still alive: {left}"
        time.sleep(0.05)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def environment(**changes: str) -> dict[str, str]:
    """Ours, without settings of the person who runs the tests and without those of an outer make."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("SONORANT_CATALOGUE__") or not name.startswith(("SONORANT_", "MAKE"))
    }
    # the tests ask for the same things again, and want to see them done
    return kept | {"SONORANT_CACHE__WHERE": "off"} | changes


@pytest.fixture(scope="session")
def launch(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """launch(*arguments of `sonorant serve`, NAME=value of the environment …) → Server, not yet ready."""
    servers: list[Server] = []

    def start(*arguments: str, command: Callable[[int], list[str]] | None = None, **changes: str) -> Server:
        port = free_port()
        ours = [sys.executable, "-m", "sonorant", "serve", *arguments, "--port", str(port)]
        folder = tmp_path_factory.mktemp("server")
        servers.append(Server(command(port) if command else ours, folder, port, environment(**changes)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def server(launch) -> Iterator[Server]:
    """A server of the default models that know English; it ends as it should."""
    english = launch("hibari", "moonshine-tiny")
    english.wait_until_settled()
    yield english
    assert english.stop() == 0, english.last_words()


@pytest.fixture
def client(server) -> Iterator[openai.OpenAI]:
    with server.sdk() as sdk:
        yield sdk


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def wav(server) -> bytes:
    """TEXT, spoken by the server."""
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav"}
    return server.http.post("/v1/audio/speech", json=body).raise_for_status().content


@pytest.fixture(scope="session")
def chapter() -> str:
    """Twenty pages: 60,000 characters in paragraphs."""
    import random

    sentences = (Path(__file__).parents[1] / "data" / "english.txt").read_text(encoding="utf-8").splitlines()
    shuffle = random.Random(0)
    paragraphs: list[str] = []
    while sum(map(len, paragraphs)) < 60_000:
        paragraphs.append(" ".join(shuffle.sample(sentences, 8)))
    return "\n\n".join(paragraphs)


@pytest.fixture(scope="session")
def assert_says() -> Callable[..., None]:
    """assert_says(transcript, text): at most a tenth of the words is wrong."""

    def check(heard: str, said: str, rate: float = 0.1) -> None:
        errors, words = word_errors(said, heard)
        assert errors <= rate * words, f"{errors} of {words} words are wrong: {heard}"

    return check


@pytest.fixture(scope="session")
def decoded() -> Callable[..., tuple]:
    """decoded(bytes) → (codec's name, mono float32 samples, sample rate), by PyAV."""
    import av
    import numpy as np

    def decode(data: bytes) -> tuple:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.audio[0]
            mono = av.AudioResampler(format="flt", layout="mono")
            frames = [piece for frame in container.decode(stream) for piece in mono.resample(frame)]
            samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
            return stream.codec_context.name, samples, frames[0].sample_rate

    return decode


@pytest.fixture(scope="session")
def nothing_left() -> Callable[[list[psutil.Process]], None]:
    """nothing_left(processes): all of them end within some seconds."""
    return assert_ended


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """encode(samples, rate, container, codec) → a file, by PyAV."""
    import av
    import numpy as np

    def write(samples, rate: int, container: str, codec: str) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format=container) as output:
            stream = output.add_stream(codec, rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.asarray(samples, np.float32)[np.newaxis], "flt", "mono")
            frame.sample_rate = rate
            resampler = av.AudioResampler(
                format=stream.codec_context.format,
                layout="mono",
                rate=rate,
                frame_size=stream.codec_context.frame_size,
            )
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                output.mux(stream.encode(piece))
            output.mux(stream.encode(None))
        return file.getvalue()

    return write


@pytest.fixture
def silent_listener() -> Iterator[str]:
    """The address of a loopback port to which nobody may connect."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        bound.setblocking(False)
        yield f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            bound.accept()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def assert_refused() -> Callable[[httpx.Response], dict]:
    """assert_refused(response) → its error: a 4xx in OpenAI's shape that came soon and says something."""

    def check(response: httpx.Response) -> dict:
        assert 400 <= response.status_code < 500, response.text
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-request-id"]
        assert response.elapsed.total_seconds() < 2
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert error["message"].endswith((".", "`", ")"))
        assert "Traceback" not in error["message"]
        return error

    return check
