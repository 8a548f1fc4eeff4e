"""`sonorant say --batch` and `transcribe --batch` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import soundfile

import sonorant as package

SOURCES = Path(package.__file__).parent.parent
LINES = ("Good morning.", "It costs five dollars.", "Thank you.")


def command(*words: str | Path) -> dict:
    ours = ("SONORANT_", "OPENAI_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours) and "proxy" not in k.lower()}
    line = [sys.executable, "-m", "sonorant", *map(str, words)]
    return {"args": line, "env": kept | {"PYTHONPATH": str(SOURCES)}, "stderr": subprocess.PIPE}


def sonorant(*words: str | Path) -> tuple[int, str]:
    """(exit status, what it told)"""
    done = subprocess.run(**command(*words), timeout=120, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stderr.decode()


@contextmanager
def server(*answers: tuple[int, dict, bytes]) -> Iterator[tuple[str, list]]:
    """(the address of a server that gives these answers, the last one for ever, and what it was asked)"""
    asked: list[dict] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append({"path": self.path, "key": self.headers["Authorization"], "body": body})
            status, headers, content = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}", asked
        finally:
            http.shutdown()
            thread.join()


def test_lines_become_files_and_recordings_become_text(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES))
    out = tmp_path / "out"
    say = ("say", "--batch", tmp_path / "lines.txt", "-o", out)
    assert sonorant(*say) == (0, "3 made, 0 were there already, 0 failed\n")
    lengths = [soundfile.info(out / f"00000{n}.wav").duration for n in (1, 2, 3)]
    assert all(0.4 < length < 3 for length in lengths)
    recorded = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert {one["file"]: one["seconds"] for one in recorded} == {
        f"00000{n}.wav": pytest.approx(length, abs=0.001) for n, length in enumerate(lengths, 1)
    }
    assert sonorant(*say) == (0, "0 made, 3 were there already, 0 failed\n")
    (out / "000002.wav").write_bytes(b"damaged")
    assert sonorant(*say) == (0, "1 made, 2 were there already, 0 failed\n")
    assert soundfile.info(out / "000002.wav").duration == pytest.approx(lengths[1], abs=0.3)

    (tmp_path / "list.txt").write_text("\n".join(str(out / f"00000{n}.wav") for n in (1, 2, 3, 4)))
    hear = ("transcribe", "--batch", tmp_path / "list.txt", "-o", tmp_path / "texts", "--language", "en")
    status, told = sonorant(*hear)
    assert status == 1
    assert "Line 4: There is no file" in told
    assert "3 made, 0 were there already, 1 failed" in told
    heard = [(tmp_path / "texts" / f"00000{n}.txt").read_text() for n in (1, 2, 3)]
    assert "morning" in heard[0]
    assert "thank you" in heard[2].lower()
    assert "0 made, 3 were there already, 1 failed" in sonorant(*hear)[1]


def test_killed_in_the_middle_it_goes_on(tmp_path):
    lines = [json.dumps({"text": f"This is number {n}.", "id": f"n{n}", "format": "flac"}) for n in range(24)]
    (tmp_path / "lines.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out"
    manifest = out / "manifest.jsonl"
    say = ("say", "--batch", tmp_path / "lines.jsonl", "-o", out)
    with subprocess.Popen(**command(*say), stdin=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not manifest.exists() or manifest.read_text().count("\n") < 4:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = manifest.read_text().count("\n")
    assert 4 <= kept < 24
    assert sonorant(*say) == (0, f"{24 - kept} made, {kept} were there already, 0 failed\n")
    files = sorted(path.name for path in out.iterdir())
    assert files == sorted([*(f"n{n}.flac" for n in range(24)), "manifest.jsonl"]), "no halves are left"
    assert all(soundfile.info(out / f"n{n}.flac").duration > 0.5 for n in range(24))


def test_by_a_server_that_is_busy_for_a_while(tmp_path):
    (tmp_path / "lines.jsonl").write_text(
        '{"text": "One.", "speed": 1.5, "file": "one.mp3"}\n{"input": "Two.", "voice": "nova", "model": "kokoro"}'
    )
    busy = (429, {"Retry-After": "0"}, b'{"error": {"message": "busy"}}')
    with server(busy, busy, (200, {}, b"audio")) as (url, asked):
        say = ("say", "--batch", tmp_path / "lines.jsonl", "-o", tmp_path / "out", "--server", url)
        more = ("--api-key", "secret", "--format", "mp3")
        assert sonorant(*say, *more) == (0, "2 made, 0 were there already, 0 failed\n")
    assert (tmp_path / "out" / "one.mp3").read_bytes() == b"audio"
    assert (tmp_path / "out" / "000002.mp3").read_bytes() == b"audio"
    assert len(asked) == 4
    assert {one["key"] for one in asked} == {"Bearer secret"}
    bodies = {body["input"]: body for body in (json.loads(one["body"]) for one in asked)}
    usual = {"response_format": "mp3", "service_tier": "flex"}
    assert bodies["One."] == usual | {"input": "One.", "model": "tts-1", "voice": "alloy", "speed": 1.5}
    assert bodies["Two."] == usual | {"input": "Two.", "model": "kokoro", "voice": "nova", "speed": 1.0}


def test_a_server_transcribes(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "list.jsonl").write_text(json.dumps({"audio": str(tmp_path / "a.wav"), "format": "srt"}))
    with server((200, {}, b"1\n00:00:00,000 --> 00:00:01,000\nHi.\n")) as (url, asked):
        hear = ("transcribe", "--batch", tmp_path / "list.jsonl", "-o", tmp_path / "out", "--server", url)
        assert sonorant(*hear) == (0, "1 made, 0 were there already, 0 failed\n")
    assert (tmp_path / "out" / "a.srt").read_text().endswith("Hi.\n")
    assert b"flex" in asked[0]["body"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("say", "--batch", "lines.txt"), "Name a folder with -o"),
        (("say", "--batch", "lines.txt", "-o", "lines.txt"), "Name a folder with -o"),
        (("say", "Hello.", "--batch", "lines.txt", "-o", "out"), "A text does not go with --batch"),
        (
            ("say", "--batch", "lines.txt", "-o", "out", "--subtitles", "a.srt"),
            "--subtitles does not go with",
        ),
        (("say", "--batch", "none.txt", "-o", "out"), "none.txt cannot be read"),
        (("transcribe", "--batch", "lines.txt"), "-o names a folder"),
        (("transcribe", "a.wav", "--batch", "lines.txt", "-o", "out"), "--batch lists all recordings"),
        (("transcribe",), "There is no recording"),
    ],
)
def test_what_does_not_go_together(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("Hello.")
    status, told = sonorant(*words)
    assert (status, told.count("\n")) == (1, 1)
    assert told.startswith("Error: ")
    assert said in told
