"""`sonorant say` as a user runs it."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

import sonorant as package
from sonorant.audio.encoding import Encoder
from sonorant.tasks import AudioFormat

SOURCES = Path(package.__file__).parent.parent
TEXT = "The quick brown fox jumps over the lazy dog."


def environment(**more: str) -> dict[str, str]:
    """This machine's, without anything that changes what a command does."""
    ours = ("SONORANT_", "OPENAI_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours) and "proxy" not in k.lower()}
    return kept | {"PYTHONPATH": str(SOURCES)} | more


def sonorant(
    *words: str | Path, data: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None
):
    return subprocess.run(
        [sys.executable, "-m", "sonorant", *map(str, words)],
        input=data, capture_output=True, timeout=120, env=env or environment(), cwd=cwd,
    )  # fmt: skip


def seconds_of(audio: bytes) -> float:
    with av.open(io.BytesIO(audio)) as container:
        stream = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(stream)) / stream.rate


def refused(done: subprocess.CompletedProcess[bytes], *words: str) -> None:
    """One clear message, exit status 1, nothing of Python's."""
    message = done.stderr.decode()
    assert done.returncode == 1, message
    assert message.startswith("Error: ")
    assert "Traceback" not in message
    assert len(message.strip().splitlines()) == 1
    for word in words:
        assert word in message


@contextmanager
def server(status: int, content_type: str, body: bytes) -> Iterator[tuple[str, list]]:
    """(the address of a server that answers everything alike, what it was asked)"""
    asked: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}", asked
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.parametrize("format", ["wav", "mp3", "opus", "aac", "flac"])
def test_into_a_file(tmp_path, format):
    done = sonorant("say", TEXT, "-o", tmp_path / f"hello.{format}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert 1.5 < seconds_of((tmp_path / f"hello.{format}").read_bytes()) < 5


def test_raw_audio_at_a_rate(tmp_path):
    words = (
        "say",
        TEXT,
        "--seed",
        "1",
        "--voice",
        "heart",
        "--language",
        "en",
        "--speed",
        "2",
        "--ort",
        "intra_op_num_threads=1",
    )
    assert sonorant(*words, "-o", tmp_path / "a.pcm", "--sample-rate", "16000").returncode == 0
    assert sonorant(*words, "-o", tmp_path / "a.wav").returncode == 0
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 24_000
    assert (tmp_path / "a.pcm").stat().st_size == 2 * round(len(samples) * 2 / 3)


@pytest.mark.parametrize(("ending", "kind"), [("ulaw", "mulaw"), ("al", "alaw")])
def test_for_a_telephone(tmp_path, ending, kind):
    path = tmp_path / f"hello.{ending}"
    words = ("--loudness", "-20", "--trim-silence")
    assert sonorant("say", TEXT, "-o", path, *words).returncode == 0
    with av.open(str(path), format=kind, options={"sample_rate": "8000"}) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples == path.stat().st_size
    assert 1.5 < samples / 8000 < 4


@pytest.mark.parametrize(("kind", "subtype"), [("wav-mulaw", "ULAW"), ("wav-alaw", "ALAW")])
def test_for_a_telephone_that_wants_a_wav(tmp_path, kind, subtype):
    assert sonorant("say", TEXT, "-o", tmp_path / "hello.wav", "--format", kind).returncode == 0
    made = soundfile.info(tmp_path / "hello.wav")
    assert (made.subtype, made.samplerate, made.channels) == (subtype, 8000, 1)
    size = (tmp_path / "hello.wav").stat().st_size
    assert size == 58 + made.frames + made.frames % 2
    assert 1.5 < made.duration < 5


def test_subtitles_beside_the_audio(tmp_path):
    done = sonorant("say", f"{TEXT} Yes.", "-o", tmp_path / "a.wav", "--subtitles", tmp_path / "a.srt")
    assert (done.returncode, done.stderr) == (0, b"")
    cues = (tmp_path / "a.srt").read_text().strip().split("\n\n")
    assert [" ".join(cue.split("\n")[2:]) for cue in cues] == [TEXT, "Yes."]
    assert cues[0].startswith("1\n00:00:00,0")


def test_to_standard_output_in_a_format_of_choice():
    wav = sonorant("say", TEXT, "-o", "-")
    assert wav.returncode == 0
    assert wav.stdout[:4] == b"RIFF"
    mp3 = sonorant("say", TEXT, "-o", "-", "--format", "mp3")
    assert seconds_of(mp3.stdout) == pytest.approx(seconds_of(wav.stdout), abs=0.15)


def test_standard_input_is_spoken_as_it_comes(tmp_path):
    """The first sentence's audio is read before the second sentence is written."""
    command = [sys.executable, "-m", "sonorant", "say", "-o", "-", "--format", "pcm"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        killer = threading.Timer(100, process.kill)
        killer.start()
        process.stdin.write("Grüße, this is the first sentence. And".encode())
        process.stdin.flush()
        assert len(process.stdout.read(24_000)) == 24_000
        process.stdin.write(b" this is another.\n")
        process.stdin.close()
        assert len(process.stdout.read()) > 24_000
        assert process.stderr.read() == b""
        assert process.wait() == 0
        killer.cancel()


def test_an_interrupt_ends_it_while_it_waits_for_text(tmp_path):
    command = [sys.executable, "-m", "sonorant", "say", "-o", "-", "--format", "pcm"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        killer = threading.Timer(100, process.kill)
        killer.start()
        process.stdin.write(b"This is spoken. And this")
        process.stdin.flush()
        assert process.stdout.read(24_000)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        killer.cancel()
        assert b"Traceback" not in process.stderr.read()


def test_a_reader_that_has_enough_ends_it_quietly():
    command = [sys.executable, "-m", "sonorant", "say", "-o", "-", " ".join([TEXT] * 40)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        process.stdout.read(1000)
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "data", "expected"),
    [
        ((TEXT, "-o", "hello.doc"), b"", ["hello.doc", "wav, mp3, opus"]),
        ((TEXT, "-o", "a.opus", "--sample-rate", "11025"), b"", ["8,000, 12,000, 16,000, 24,000, 48,000"]),
        ((TEXT, "-o", "a.wav", "--subtitles", "a.txt"), b"", ["a.txt", ".srt or .vtt"]),
        ((TEXT, "-o", "a.wav", "--subtitles", "nowhere/a.srt"), b"", ["no folder nowhere"]),
        ((TEXT, "-o", "nowhere/hello.wav"), b"", ["nowhere/hello.wav cannot be written"]),
        ((TEXT, "--format", "mp3"), b"", ["-o"]),
        ((TEXT, "-o", "a.wav", "--model", "hibary"), b"", ["hibary", "Did you mean hibari"]),
        ((TEXT, "-o", "a.wav", "--model", "./nowhere"), b"", ["nowhere is not a folder"]),
        ((TEXT, "-o", "a.wav", "--ort", "bogus=1"), b"", ["'bogus'", "intra_op_num_threads"]),
        ((TEXT, "-o", "a.wav", "--ort", "bogus"), b"", ["NAME=VALUE"]),
        ((TEXT, "-o", "a.wav", "--device", "tpu"), b"", ["'tpu' is not a device"]),
        ((TEXT, "-o", "a.wav", "--config", "absent.toml"), b"", ["absent.toml cannot be read"]),
        (("  ", "-o", "a.wav"), b"", ["text is empty"]),
        (("-o", "a.wav"), b"", ["nothing that can be spoken"]),
        (("-", "-o", "a.wav"), b"\xff\xfeH\x00i\x00", ["not UTF-8"]),
        ((TEXT, "-o", "a.wav", "--server", "http://127.0.0.1:1"), b"", ["http://127.0.0.1:1", "sonorant serve"]),
    ],
)  # fmt: skip
def test_an_error_is_one_clear_message(tmp_path, words, data, expected):
    refused(sonorant("say", *words, data=data, cwd=tmp_path), *expected)


def test_a_server_speaks(tmp_path):
    with server(200, "audio/mpeg", b"ID3 audio") as (address, asked):
        done = sonorant("say", TEXT, "-o", tmp_path / "a.mp3", "--server", address, "--api-key", "secret",
                        "--speed", "1.5", "--seed", "7", "--language", "en", "--sample-rate", "16000")  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
        sonorant("say", "-", "-o", tmp_path / "b.pcm", "--server", f"{address}/v1/", "--voice", "amy",
                 "--model", "piper-joe", data=b"One.\nTwo.\n", env=environment(OPENAI_API_KEY="other"))  # fmt: skip
    assert (tmp_path / "a.mp3").read_bytes() == b"ID3 audio"
    (path, headers, body), (path2, headers2, body2) = asked
    assert path == path2 == "/v1/audio/speech"
    assert headers["Authorization"] == "Bearer secret"
    assert json.loads(body) == {"model": "tts-1", "input": TEXT, "voice": "alloy", "speed": 1.5, "seed": 7,
                                "response_format": "mp3", "language": "en", "sample_rate": 16_000}  # fmt: skip
    assert headers2["Authorization"] == "Bearer other"
    assert json.loads(body2) == {"model": "piper-joe", "input": "One.\nTwo.\n", "voice": "amy", "speed": 1.0,
                                 "response_format": "pcm"}  # fmt: skip


def test_a_wav_that_a_server_streamed_gets_its_length(tmp_path):
    encoder = Encoder(AudioFormat.WAV_ALAW, 8000)
    body = encoder.encode(np.zeros(801, np.float32)) + encoder.finish()
    with server(200, "audio/wav", body) as (address, _):
        words = ("-o", tmp_path / "a.wav", "--format", "wav-alaw", "--server", address)
        assert sonorant("say", TEXT, *words).returncode == 0
    made = (tmp_path / "a.wav").read_bytes()
    assert (made[54:58], made[46:50]) == ((801).to_bytes(4, "little"),) * 2
    assert made[58:] == body[58:] + b"\0"


def test_a_server_gives_audio_and_subtitles_of_one_speech(tmp_path):
    events = [
        {"type": "speech.audio.words", "words": [{"word": "Hello.", "start": 0.1, "end": 0.4}]},
        {"type": "speech.audio.delta", "audio": "YXVk"},
        {"type": "speech.audio.delta", "audio": "aW8="},
        {"type": "speech.audio.done"},
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    words = (
        "say",
        "Hello.",
        "-o",
        tmp_path / "a.mp3",
        "--subtitles",
        tmp_path / "a.vtt",
        "--loudness",
        "-16",
    )
    with server(200, "text/event-stream", body) as (address, asked):
        done = sonorant(*words, "--server", address)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "a.mp3").read_bytes() == b"audio"
    assert (tmp_path / "a.vtt").read_text() == "WEBVTT\n\n00:00:00.100 --> 00:00:01.100\nHello.\n\n"
    sent = json.loads(asked[0][2])
    assert (sent["stream_format"], sent["timestamp_granularities"]) == ("sse", ["word"])
    assert sent["loudness"] == -16
    untimed = "".join(f"data: {json.dumps(event)}\n\n" for event in events[1:]).encode()
    with server(200, "text/event-stream", untimed) as (address, _):
        refused(sonorant(*words, "--server", address), "did not say when each word")


def test_what_a_server_refuses_is_told(tmp_path):
    body = json.dumps({"error": {"message": "No voice zoe. Its voices: amy."}}).encode()
    with server(400, "application/json", body) as (address, _):
        words = ("say", TEXT, "-o", tmp_path / "a.wav", "--server", address)
        refused(sonorant(*words), "answered 400", "No voice zoe. Its voices: amy.")
    assert not (tmp_path / "a.wav").exists()
    with server(502, "text/html", b"<html>Bad gateway</html>") as (address, _):
        refused(sonorant("say", TEXT, "-o", tmp_path / "a.wav", "--server", address), "502", "Bad gateway")


def player(folder: Path, script: str) -> dict[str, str]:
    """An environment whose only player of audio is a script."""
    program = folder / "pw-cat"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return environment(PATH=f"{folder}:/usr/bin:/bin")


def test_without_a_file_it_is_played(tmp_path):
    env = player(tmp_path, f'echo "$@" > {tmp_path}/words; exec cat > {tmp_path}/heard')
    done = sonorant("say", TEXT, env=env)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "--rate=24000" in (tmp_path / "words").read_text()
    assert (tmp_path / "heard").stat().st_size > 2 * 24_000


def test_a_player_that_fails_is_told(tmp_path):
    done = sonorant("say", " ".join([TEXT] * 4), env=player(tmp_path, "exit 3"))
    refused(done, "pw-cat could not play", "status 3", "-o hello.wav")


def test_a_machine_without_a_player_is_told_to_write_a_file(tmp_path):
    refused(sonorant("say", TEXT, env=environment(PATH=str(tmp_path))), "-o hello.wav", "aplay")


@pytest.mark.parametrize(
    "command", [(), ("serve",), ("say",), ("transcribe",), ("models",), ("show",), ("pull",), ("remove",)]
)
def test_every_command_explains_itself(command):
    done = sonorant(*command, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout.decode()
    assert sonorant(*command, "-h").stdout == done.stdout


def test_the_version_and_an_unknown_command():
    assert sonorant("--version").stdout.decode().strip() == package.__version__
    done = sonorant("speak")
    assert done.returncode == 2
    assert b"No such command 'speak'" in done.stderr
