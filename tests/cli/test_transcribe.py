"""`sonorant transcribe` as a user runs it."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sonorant
from listening import real_speech, word_errors

BECKETT = real_speech()[0]
SOURCES = Path(sonorant.__file__).parent.parent


def transcribe(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SONORANT_", "OPENAI_"))}
    env = {k: v for k, v in kept.items() if "proxy" not in k.lower()} | {"PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-m", "sonorant", "transcribe", "--language", "en", *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=120, env=env, cwd=cwd, encoding="utf-8")


def understood(heard: str) -> bool:
    errors, words = word_errors(BECKETT.transcript, heard)
    return errors <= 0.1 * words


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


def test_text():
    done = transcribe(BECKETT.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert understood(done.stdout)
    assert done.stdout.count("\n") == 1


def test_json():
    tree = json.loads(transcribe(BECKETT.path, "--format", "json").stdout)
    assert understood(tree["text"])
    assert tree["duration"] == pytest.approx(soundfile.info(BECKETT.path).duration, abs=0.01)
    assert all(0 <= s["start"] < s["end"] <= tree["duration"] for s in tree["segments"])
    assert " ".join(segment["text"] for segment in tree["segments"]) == tree["text"]


def test_subtitles(tmp_path):
    srt = transcribe(BECKETT.path, "--format", "srt").stdout
    assert re.match(r"1\n00:00:\d\d,\d{3} --> 00:00:\d\d,\d{3}\n\w", srt)
    target = tmp_path / "beckett.vtt"
    assert transcribe(BECKETT.path, "--format", "vtt", "-o", target).stdout == ""
    assert re.match(r"WEBVTT\n\n00:00:\d\d\.\d{3} --> 00:00:\d\d\.\d{3}\n\w", target.read_text())


@pytest.fixture
def two(tmp_path) -> list[Path]:
    shutil.copy(BECKETT.path, tmp_path / "speech.wav")
    soundfile.write(tmp_path / "silence.flac", np.zeros(16_000), 16_000)
    return [tmp_path / "speech.wav", tmp_path / "silence.flac"]


def test_several_recordings(two, tmp_path):
    lines = transcribe(*two).stdout.splitlines()
    assert lines[0].startswith(f"{two[0]}: ")
    assert understood(lines[0].removeprefix(f"{two[0]}: "))
    assert lines[1].strip() == f"{two[1]}:"
    done = transcribe(*two, "--format", "srt", "-o", tmp_path / "made" / "here")
    assert (done.returncode, done.stdout) == (0, "")
    assert understood(" ".join((tmp_path / "made/here/speech.srt").read_text().splitlines()[2::4]))
    assert (tmp_path / "made/here/silence.srt").read_text() == "\n"
    trees = [json.loads(line) for line in transcribe(*two, "--format", "json").stdout.splitlines()]
    assert [tree["file"] for tree in trees] == [str(path) for path in two]


def test_one_recording_into_a_folder(two, tmp_path):
    transcribe(two[1], "-o", tmp_path)
    assert (tmp_path / "silence.txt").is_file()


def test_an_error_is_one_clear_message(two, tmp_path):
    speech, silence = two
    (tmp_path / "broken.mp3").write_bytes(b"not audio at all" * 100)
    (tmp_path / "other").mkdir()
    shutil.copy(speech, tmp_path / "other" / "speech.wav")
    refused(transcribe(tmp_path / "absent.wav"), "There is no file", "absent.wav")
    refused(transcribe(tmp_path / "broken.mp3"), "broken.mp3")
    refused(transcribe(*two, "--format", "srt"), "Name a folder with -o")
    refused(transcribe(*two, "-o", speech), f"{speech} cannot be written")
    refused(transcribe(silence, "-o", tmp_path / "no" / "where.txt"), "where.txt cannot be written")
    refused(transcribe(speech, tmp_path / "other" / "speech.wav", "-o", tmp_path), "speech.txt")
    refused(transcribe(speech, "--ort", "bogus=1"), "'bogus'")
    refused(transcribe(speech, "--server", "ftp://example.invalid"), "ftp://example.invalid")


def test_a_server_transcribes(two):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            body = b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{http.server_address[1]}"
        done = transcribe(two[1], "--server", address, "--api-key", "secret", "--format", "srt", "--itn")
        transcribe(two[1], "--server", address, "--translate")
        http.shutdown()
        thread.join()
    assert (done.returncode, done.stdout) == (0, "1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    (path, headers, body), (translated, _, _) = asked
    assert translated == "/v1/audio/translations"
    assert path == "/v1/audio/transcriptions"
    assert headers["Authorization"] == "Bearer secret"
    for name, value in {
        "model": "whisper-1",
        "response_format": "srt",
        "language": "en",
        "itn": "true",
    }.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body
    assert b'name="file"; filename="silence.flac"' in body
    assert two[1].read_bytes() in body
