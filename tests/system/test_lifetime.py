"""From the start of a server to its end: ready when it is warm, gone when it is told to go."""

import contextlib
import os
import signal
import socket
import threading
import time

import httpx
import pytest

pytestmark = pytest.mark.system

LINES = "This is one more sentence that is to be spoken before the server may go. " * 60


def test_not_ready_before_it_is_warm_and_drained_when_it_is_told_to_go(launch, decoded, nothing_left):
    server = launch()
    statuses: list[int] = []

    def settled() -> bool:
        health = server.http.get("/health/ready")
        statuses.append(health.status_code)
        assert health.status_code == (200 if health.json()["status"] == "ok" else 503)
        return health.status_code == 200

    server.wait_until(server.answers, 60)
    early = server.http.post("/v1/audio/speech", json={"input": "Hello."})
    assert (early.status_code, early.json()["error"]["code"]) == (503, "model_not_ready")
    assert early.headers["retry-after"]
    server.wait_until(settled, 300)
    assert statuses[0] == 503
    assert server.http.post("/v1/audio/speech", json={"input": "Hello."}).status_code == 200
    server.http.close()  # a connection that is kept alive would be closed anyway

    family = server.family()
    assert len(family) > 1, "no decoders?"
    body = {"input": LINES, "response_format": "flac"}
    with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=body, timeout=30) as response:
        pieces = response.iter_raw()
        data = [next(pieces)]
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while _accepts(server.port):
            assert time.monotonic() < deadline, "it still takes connections"
            time.sleep(0.02)
        assert server.process.poll() is None, "it left in the middle of an answer"
        data += list(pieces)
    _, samples, rate = decoded(b"".join(data))
    assert len(samples) / rate > 150, "the answer has lost its end"
    assert server.process.wait(10) == 0, server.last_words()
    nothing_left(family)


def test_an_answer_that_takes_longer_than_it_may_is_cut_visibly(launch, chapter, nothing_left):
    server = launch("hibari", SONORANT_SERVER__DRAIN_SECONDS="1")
    server.wait_until_settled()
    family = server.family()
    with server.http.stream("POST", "/v1/audio/speech", json={"input": chapter}) as response:
        pieces = response.iter_raw()
        next(pieces)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    assert server.process.wait(15) == 0, server.last_words()
    assert time.monotonic() - began < 12
    nothing_left(family)


def test_an_interrupt_while_it_loads(launch):
    server = launch()
    server.wait_until(server.answers, 60)
    assert server.stop(signal.SIGINT) == 0, server.last_words()


def test_nothing_outlives_a_kill(launch, wav, nothing_left):
    server = launch()
    server.wait_until_settled()
    long = wav * 50  # the header says that it is shorter: decoders take it as it is

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError):
            httpx.post(f"{server.url}/v1/audio/transcriptions", files={"file": long}, timeout=30)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        time.sleep(0.3)
        family = server.family()
        assert len(family) > 1
        server.process.kill()
        assert server.process.wait(10) == -signal.SIGKILL
        nothing_left(family)
    finally:
        asking.join()


def test_make_serve(launch, repository, nothing_left):
    if not (repository / ".venv" / "bin" / "sonorant").exists():
        pytest.skip("there is no .venv; `make setup` makes one, and `make test` runs this with it")

    def command(port: int) -> list[str]:
        return ["make", "-C", str(repository), "--old-file=.venv/serve.stamp", "serve", f"PORT={port}"]

    for number in (signal.SIGTERM, signal.SIGINT):
        server = launch(command=command)
        server.wait_until_settled()
        answer = server.http.post("/v1/audio/speech", json={"input": "Hello.", "response_format": "wav"})
        assert answer.content.startswith(b"RIFF")
        family = server.family()
        assert len(family) > 2, "make, the server, its decoders"
        if number == signal.SIGINT:
            os.killpg(server.process.pid, number)  # as a terminal does on Ctrl-C
        else:
            server.process.send_signal(number)
        server.process.wait(20)
        nothing_left(family)


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
