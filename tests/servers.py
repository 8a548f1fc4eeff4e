"""A real server in a subprocess, as users start it."""

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

LOADING_SECONDS = 300
"""until a server must be ready; it may have to fetch 80 MB first"""
STOPPING_SECONDS = 30


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

    def replicas(self) -> list[psutil.Process]:
        """The processes of its models, oldest first."""
        (forkery,) = self.forkeries()
        return sorted(forkery.children(), key=lambda process: float(process.create_time()))

    def forkeries(self) -> list[psutil.Process]:
        """The process that replicas are forked from."""
        return [p for p in self.process.children() if "sonorant.replica.forkery" in p.cmdline()]

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
    # servers run in folders of their own: a path that is relative would lead them to another Sonorant
    if paths := kept.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in paths.split(os.pathsep))
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
        changes = {"SONORANT_JOBS__FOLDER": str(folder / "jobs")} | changes
        servers.append(Server(command(port) if command else ours, folder, port, environment(**changes)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
