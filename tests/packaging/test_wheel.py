"""A user's way: pip install of the wheel into a bare environment, then `sonorant serve`."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.mark.heavy
def test_the_wheel_installs_and_serves(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("sonorant-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python, sonorant = tmp_path / "venv/bin/python", tmp_path / "venv/bin/sonorant"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    installed = run(python, "-m", "pip", "list", "--format", "freeze").lower()
    assert "torch" not in installed
    assert "piper" not in installed  # GPL-3: only with the extra
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sonorant, "serve", "--port", str(port)], cwd=tmp_path, env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health/ready", timeout=5) as answer:
                    assert json.load(answer)["status"] == "ok"
                    break
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.2)
        run(
            sonorant,
            "say",
            "Good morning.",
            "--server",
            address,
            "-o",
            "hello.flac",
            cwd=tmp_path,
            env=environment,
        )
        text = run(sonorant, "transcribe", "hello.flac", "--server", address, cwd=tmp_path, env=environment)
        assert "good morning" in text.lower()
    finally:
        server.terminate()
        assert server.wait(60) == 0
