"""A server, and the programs of others that call it: each in an environment of its own, since what
they pin does not fit what we pin. The environments are made once, in the cache folder of the tests."""

import fcntl
import io
import os
import re
import socket
import subprocess
import sys
import time
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from listening import word_errors

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "clients.md"
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonorant" / "test-data" / "clients"
)

INSTALL_SECONDS = 600
RUN_SECONDS = 300
LOADING_SECONDS = 300

# nothing in it that can be written in two ways
TEXT = (
    "She opened the window and listened to the rain falling softly on the garden below. "
    "Please keep your seat belt fastened until the captain turns off the sign."
)


USER = {
    name: value
    for name, value in os.environ.items()
    if name.startswith("SONORANT_CATALOGUE__") or not name.startswith(("SONORANT_", "OPENAI_"))
}
"""the environment without what changes Sonorant or a client"""


def run(*command: str | Path, cwd: Path, seconds: float = RUN_SECONDS) -> str:
    """Run a program → what it wrote to standard output. It must end well."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=USER,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def execute() -> Callable[..., str]:
    """execute(*command, cwd=…, seconds=…) → its standard output; it must end well."""
    return run


@pytest.fixture(scope="session")
def environment() -> Callable[[str], Path]:
    """environment(name) → the bin folder of a virtual environment with requirements/NAME.txt."""

    def make(name: str) -> Path:
        requirements = HERE / "requirements" / f"{name}.txt"
        folder, stamp = CACHE / name, f"{sys.version}\n{requirements.read_text()}"
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            installed = folder / "installed.txt"
            if not installed.exists() or installed.read_text() != stamp:
                run(sys.executable, "-m", "venv", "--clear", folder, cwd=CACHE)
                pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps")
                run(*pip, "--requirement", requirements, cwd=CACHE, seconds=INSTALL_SECONDS)
                installed.write_text(stamp)
        return folder / "bin"

    return make


@dataclass(frozen=True)
class Server:
    """`sonorant serve` with the small English models."""

    url: str
    said: bytes
    """TEXT, spoken: a wav at 16 kHz"""

    @property
    def api(self) -> str:
        return f"{self.url}/v1"

    def answers(self) -> Counter[tuple[str, str]]:
        """(route, status) → how many answers there were."""
        counted: Counter[tuple[str, str]] = Counter()
        for family in text_string_to_metric_families(httpx.get(f"{self.url}/metrics").text):
            for sample in family.samples:
                if sample.name == "http_request_duration_seconds_count":
                    counted[sample.labels["route"], sample.labels["status"]] += int(sample.value)
        return counted

    def hear(self, file: Path) -> tuple[str, float]:
        """What is said in a file, and its seconds. `.pcm` is 16 bit at 24 kHz."""
        data = wav(file.read_bytes(), 24_000) if file.suffix == ".pcm" else file.read_bytes()
        fields = {"model": "whisper-1", "response_format": "verbose_json"}
        answer = httpx.post(
            f"{self.api}/audio/transcriptions", files={"file": (file.name, data)}, data=fields, timeout=60
        )
        heard = answer.raise_for_status().json()
        return heard["text"], heard["duration"]

    def assert_speaks(self, file: Path) -> None:
        """The file holds TEXT, whole and in the time that a person takes."""
        text, seconds = self.hear(file)
        assert 6 < seconds < 12
        assert_says(text)


def wav(pcm: bytes, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(pcm)
    return file.getvalue()


def assert_says(heard: str, said: str = TEXT) -> None:
    """At most a tenth of the words is wrong."""
    errors, words = word_errors(said, heard)
    assert errors <= 0.1 * words, heard


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "sonorant", "serve", "hibari", "moonshine-tiny", "--port", str(port)]
    jobs = {"SONORANT_JOBS__FOLDER": str(log.with_name("jobs"))}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd="/", env=USER | jobs, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until_ready(process, url, log)
            spoken = {"input": TEXT, "response_format": "pcm", "sample_rate": 16_000, "seed": 1}
            audio = httpx.post(f"{url}/v1/audio/speech", json=spoken, timeout=60).raise_for_status()
            server = Server(url, wav(audio.content, 16_000))
            before = server.answers()
            yield server
            assert not [(route, status) for route, status in server.answers() - before if status[0] == "5"]
            assert "Traceback" not in log.read_text()
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + LOADING_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/health/ready", timeout=5)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if answer.json()["status"] != "loading":
            break
        time.sleep(0.2)
    else:
        pytest.fail(log.read_text()[-4000:])
    assert answer.json()["status"] == "ok", answer.text


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def says() -> Callable[..., None]:
    """says(transcript, text): at most a tenth of the words is wrong; without a text, those of hello.wav."""
    return assert_says


@pytest.fixture
def folder(server, tmp_path) -> Path:
    """A client's working folder, with a recording in it: hello.wav."""
    (tmp_path / "hello.wav").write_bytes(server.said)
    return tmp_path


@pytest.fixture(scope="session")
def snippet(server) -> Callable[[str], str]:
    """snippet(words) → the code of docs/clients.md with these words in it, at the server's address."""

    def find(words: str) -> str:
        codes = re.findall(r"^```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        (code,) = [code for code in codes if words in code]
        return str(code).replace("http://127.0.0.1:8000", server.url)

    return find
