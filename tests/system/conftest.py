"""Real servers in subprocesses, with real models, as users start them."""

import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import psutil
import pytest

from listening import word_errors
from servers import Server, assert_ended, launch
from sonorant.prepare.quality.sentences import lines

__all__ = ["launch"]

# long enough for several pieces of each format, and nothing in it that can be written in two ways
TEXT = (
    "She opened the window and listened to the rain falling softly on the garden below. "
    "Please keep your seat belt fastened until the captain turns off the sign."
)


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

    sentences = lines("english")
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
