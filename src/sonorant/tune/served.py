"""A real server for one trial: `sonorant serve` of one model, with settings of its own, on a free port."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from sonorant.confined import end_with_owner, environment
from sonorant.errors import EngineError
from sonorant.settings import Settings, merge

_POLL = 0.05
_ENDING_SECONDS = 10.0
"""for what runs to end, once nobody asks any more"""
_LAST_WORDS = 2000
"""bytes of a server's log that a failure quotes"""
_LISTENS = re.compile(rb"listens on (http://[\d.]+:\d+)")


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is ready."""

    url: str
    pid: int


def trial_settings(settings: Settings, model: str, tree: Mapping[str, Any], jobs: Path) -> dict[str, Any]:
    """The settings in force with those of a candidate, for a server that nobody else meets: no keys, no
    cache, no steps taken for load, which would change the knobs that are tried."""
    ours: dict[str, Any] = {
        "models": [model],
        "server": {"host": "127.0.0.1", "port": 0, "root_path": "", "api_keys": [], "keys": []},
        "replicas": {"deaths": 1, "breaker_seconds": 3600.0},
        "degrade": {"load_share": 2.0},
        "jobs": {"folder": str(jobs)},
        "cache": {"where": "off"},
        "log": {"format": "text", "level": "info"},
        "trace": {"endpoint": ""},
    }
    ours["server"]["drain_seconds"] = 1
    whole = settings.model_dump(mode="json") | {"preload": None}
    for layer in (tree, ours):
        merge(whole, layer)
    return whole


@contextmanager
def served(settings: Mapping[str, Any], seconds: float) -> Iterator[Served]:
    """A server that is ready within `seconds`; it ends when this is left, and with this process.

    Raises EngineError where it does not become ready, with its reason.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment(),
        )
        assert process.stdin is not None
        try:
            with suppress(OSError):  # it has died, and its log says why
                process.stdin.write(json.dumps(settings).encode() + b"\n")
                process.stdin.flush()  # and stays open: its end tells the server that we have died
            yield Served(_ready(process, log, time.monotonic() + seconds), process.pid)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_SECONDS)
            process.kill()  # its own processes end with it
            process.wait()
            with suppress(OSError):
                process.stdin.close()


def _ready(process: subprocess.Popen[bytes], log: IO[bytes], deadline: float) -> str:
    url, reason = "", ""
    while process.poll() is None and time.monotonic() < deadline:
        if not url and (match := _LISTENS.search(_said(log))):
            url = match[1].decode()
        if url:
            health = _health(url)
            status, models = health.get("status", "loading"), health.get("models", [])
            reason = "; ".join(model["reason"] for model in models if model["reason"])
            if status == "ok":
                return url
            if status != "loading" or reason:  # one that had to be started again is not served by this
                break
        time.sleep(_POLL)
    words = _said(log)[-_LAST_WORDS:].decode(errors="replace").strip().rpartition("\n")[2]
    raise EngineError(
        "The model cannot be served like this",
        why=reason or f"Its last words: {words}"
        if process.poll() is not None or reason
        else "It is not ready in time",
    )


def _health(url: str) -> dict[str, Any]:
    try:
        found = httpx.get(f"{url}/health/ready", timeout=5.0, headers={"accept-language": "en"}).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(log: IO[bytes]) -> bytes:
    """All of it, without moving the place at which it is written."""
    return os.pread(log.fileno(), 1 << 20, 0)


def restarts(url: str) -> int:
    """How many processes of the model had to be started again."""
    text = httpx.get(f"{url}/metrics", timeout=5.0).text
    return sum(
        int(float(n)) for n in re.findall(r"^sonorant_restarts_total\S* ([\d.e+]+)$", text, re.MULTILINE)
    )


def _main() -> None:
    """In the server's process."""
    from sonorant.in_force import Source
    from sonorant.server import run

    tree = json.loads(sys.stdin.readline())

    class Fixed(Source):
        """What was sent, and nothing of files or of the environment."""

        def read(self) -> Settings:
            return Settings.model_validate(tree)

        def files(self) -> Iterator[Path]:
            return iter(())

    end_with_owner()
    run(Fixed())


if __name__ == "__main__":
    _main()
