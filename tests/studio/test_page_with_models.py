"""The page before the real server, with the models that it serves by default."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

pytestmark = [pytest.mark.system, pytest.mark.heavy]

TEXT = "The committee will meet again on Thursday. Everyone should read the report before then."


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """`sonorant serve`, ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    kept = ("SONORANT_CATALOGUE__",)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SONORANT_") or k.startswith(kept)}
    environment["SONORANT_JOBS__FOLDER"] = str(log.with_name("jobs"))
    with log.open("wb") as file:
        command = [sys.executable, "-m", "sonorant", "serve", "hibari", "moonshine-tiny", "--port", str(port)]
        server = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        deadline = time.monotonic() + 300
        while not _ready(f"http://127.0.0.1:{port}"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def spoken(address) -> bytes:
    body = {"input": TEXT, "response_format": "wav"}
    return httpx.post(f"{address}/v1/audio/speech", json=body, timeout=60).raise_for_status().content


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def test_a_voice_is_heard_and_seen(address, browse):
    page = browse(address).ready()
    page.say(TEXT)
    page.until(lambda: page.run("return window.loudest") > 0.02)
    page.until(lambda: page.text("#speak-status") == "All audio received")
    page.until(lambda: page.colours(0.55, 1) > 60)
    assert 3 < float(page.text("#length").split()[0]) < 9
    page.until(lambda: page.text("#play") == "Play")
    assert page.text("#underruns") == "0"
    page.until(lambda: "Requests\n1" in page.text("#models"))


def test_a_dropped_recording_is_read(address, browse, spoken):
    page = browse(address).ready()
    page.drop("committee.wav", spoken)
    page.until(lambda: page.all("#transcript li"))
    assert words(page.text("#transcript p")) == words(TEXT)


def test_the_microphone_is_read(address, browse, spoken, tmp_path):
    (tmp_path / "microphone.wav").write_bytes(spoken)
    page = browse(address, f"--use-file-for-fake-audio-capture={tmp_path / 'microphone.wav'}").ready()
    page.one("#record").click()
    page.until(lambda: page.one("#recorded").text > "0:07")
    page.one("#record").click()
    page.until(lambda: page.all("#transcript li"))
    heard = words(page.text("#transcript"))  # the browser plays the file over and over
    assert {"committee", "meet", "thursday", "report"} <= set(heard)


def test_subtitles_of_what_is_spoken_are_downloaded(address, browse, tmp_path):
    page = browse(address).ready()
    page.one("#text").clear()
    page.one("#text").send_keys(TEXT)
    page.one("#format").send_keys("srt")
    page.one("#download").click()
    page.until(lambda: (tmp_path / "speech.srt").is_file())
    subtitles = (tmp_path / "speech.srt").read_text(encoding="utf-8")
    assert "00:00:00," in subtitles
    assert set(words(TEXT)) <= set(words(subtitles))
