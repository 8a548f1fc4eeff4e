"""Twenty pages of text and twenty minutes of speech: bounded memory, bounded haste, no work for nobody."""

import contextlib
import io
import json
import re
import socket
import threading
import time
from statistics import mean

import numpy as np
import psutil
import pytest
import soundfile
import soxr

from recordings import real_speech

pytestmark = pytest.mark.system

MEBI = 2**20


def megabytes(server) -> float:
    """What the server, its models and its decoders hold; pages that forked processes share count once."""
    held = 0
    for process in server.family():
        with contextlib.suppress(psutil.NoSuchProcess):  # a decoder that has done its work
            held += process.memory_full_info().pss
    return held / MEBI


def processor_seconds(server) -> float:
    """Of the server and its models; decoders come and go."""
    computing = [server.process, *server.replicas()]
    return sum(times.user + times.system for times in (process.cpu_times() for process in computing))


def busy(server, seconds: float = 1.0) -> float:
    """Which part of a core the server uses."""
    before = processor_seconds(server)
    time.sleep(seconds)
    return (processor_seconds(server) - before) / seconds


def active(server) -> float:
    return server.metric("tts_active_requests", model="hibari")


def test_a_slow_reader_makes_the_server_wait_and_a_hang_up_makes_it_stop(server, chapter):
    body = json.dumps({"model": "tts-1", "input": chapter, "response_format": "wav"}).encode()
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: slow-reader\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    cancelled = server.metric("tts_requests_total", model="hibari", status="cancelled")
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        peer.connect(("127.0.0.1", server.port))
        peer.sendall(head.encode() + body)
        assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")
        deadline = time.monotonic() + 15
        while busy(server) > 0.1:  # until the sockets' buffers are full
            assert time.monotonic() < deadline, "it goes on although nobody reads"
        assert active(server) == 1
    server.wait_until(lambda: active(server) == 0, 2)
    line = next(line for line in server.log().splitlines() if line.endswith("broken off [slow-reader]"))
    (sent,) = re.findall(r"(\d+) bytes", line)
    assert int(sent) < 16 * MEBI, "of 190 MB"
    assert server.metric("tts_requests_total", model="hibari", status="cancelled") == cancelled + 1


def test_a_hang_up_in_the_middle_stops_the_computing(server, chapter):
    body = {"model": "tts-1", "voice": "alloy", "input": chapter}
    with server.http.stream("POST", "/v1/audio/speech", json=body) as response:
        pieces = response.iter_raw()
        for _ in range(20):
            next(pieces)
        assert active(server) == 1
    server.wait_until(lambda: active(server) == 0, 2)
    assert busy(server) < 0.2


def test_a_chapter_streams_from_its_first_sentence(server, chapter):
    """At four times the speed, to spare the tests' time; the text is as long as at any other."""
    body = {"model": "tts-1", "voice": "alloy", "input": chapter, "response_format": "pcm", "speed": 4}
    memory: list[tuple[int, float]] = []
    received, began, first = 0, time.monotonic(), 0.0
    with server.http.stream("POST", "/v1/audio/speech", json=body) as response:
        for piece in response.iter_raw():
            received += len(piece)
            if not memory or received - memory[-1][0] > MEBI:
                memory.append((received, megabytes(server)))
            first = first or time.monotonic() - began
    assert received / 48_000 > 800, "seconds of audio"
    assert first < (time.monotonic() - began) / 10
    early = mean(rss for place, rss in memory if 0.2 < place / received < 0.4)
    late = mean(rss for place, rss in memory if place / received > 0.8)
    # kept, the audio of that stretch would be 60 MB as 16 bit samples and 120 MB as float32
    assert late - early < 50
    assert max(rss for place, rss in memory if place / received > 0.2) - early < 100


@pytest.fixture
def twenty_minutes():
    """A real recording, 27 times with pauses → (a file of FLAC, what is said)."""
    recording = real_speech()[1]
    samples, rate = soundfile.read(recording.path, dtype="float32")
    once = np.concatenate([soxr.resample(samples, rate, 16_000), np.zeros(16_000, np.float32)])
    file = io.BytesIO()
    soundfile.write(file, np.tile(once, 27), 16_000, format="FLAC")
    return file.getvalue(), " ".join([recording.transcript] * 27)


@pytest.mark.heavy
def test_twenty_minutes_of_speech(server, twenty_minutes, assert_says):
    recording, said = twenty_minutes
    before = megabytes(server)
    # while they work, engines keep what their largest runs needed: that is no growth with length
    server.http.post("/v1/audio/transcriptions", files={"file": recording}, timeout=300).raise_for_status()
    memory: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            memory.append(megabytes(server))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        answer = server.http.post("/v1/audio/transcriptions", files={"file": recording}, timeout=300)
    finally:
        done.set()
        watching.join()
    heard = answer.raise_for_status().json()
    assert heard["usage"]["seconds"] > 1200
    assert_says(heard["text"], said, 0.12)
    fifth = len(memory) // 5
    assert mean(memory[-fifth:]) - mean(memory[fifth : 2 * fifth]) < 60
    assert max(memory[fifth:]) - mean(memory[fifth : 2 * fifth]) < 120
    server.wait_until(lambda: server.metric("asr_active_requests", model="moonshine-tiny") == 0, 2)
    # most is given back when it is quiet: it grows by 150 to 300 meanwhile
    server.wait_until(lambda: megabytes(server) < before + 100, 30)


def test_a_hang_up_ends_the_decoder_too(server, twenty_minutes):
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n"
    )
    form = (
        b"--b\r\nContent-Disposition: form-data; name=file; filename=a.flac\r\n\r\n"
        + twenty_minutes[0]
        + b"\r\n--b--\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(head.format(len(form)).encode() + form)
        server.wait_until(lambda: server.metric("asr_active_requests", model="moonshine-tiny") == 1, 5)
    server.wait_until(lambda: server.metric("asr_active_requests", model="moonshine-tiny") == 0, 3)
    assert busy(server) < 0.2
    decoders = [process for process in server.family()[1:] if process.cpu_percent(0.3) > 20]
    assert not decoders
