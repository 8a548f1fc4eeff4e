"""What only a real server and real sockets show: chunks, hang-ups, bodies that stop, slow readers."""

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest

from sonorant.gateway import Gateway
from sonorant.protocols.app import create_app
from sonorant.settings import JobSettings, Settings
from sonorant.tasks import Encoded, Segment

SPEECH = {"model": "hibari", "input": "Hello.", "voice": "amy", "response_format": "pcm"}
PATH = "/v1/audio/speech"
WAIT = 10  # seconds, a bound for what should come at once


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=WAIT)


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within the bound."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


def speech(body: dict) -> bytes:
    """A whole request for speech."""
    data = json.dumps(body).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and the whole body."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.status, dict(response.getheaders()), response.read()


def test_audio_is_sent_while_synthesis_goes_on(fakes, serve):
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"first", 0.2)), fakes.Step(hold=True)])
    with serve(fakes.application(replica)) as url, httpx.Client(base_url=url, timeout=WAIT) as client:
        with client.stream("POST", PATH, json=SPEECH) as response:
            assert response.headers["transfer-encoding"] == "chunked"
            pieces = response.iter_raw()
            assert next(pieces) == b"first"
            assert not replica.closed.is_set()
        assert replica.closed.wait(WAIT)  # hanging up stopped the synthesis


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_a_client_that_leaves_before_the_first_audio_stops_the_work(fakes, serve, stream_format):
    replica = fakes.speaker(script=[fakes.Step(hold=True)])
    with serve(fakes.application(replica)) as url:
        with connect(url) as sock:
            sock.sendall(speech(SPEECH | {"stream_format": stream_format}))
            assert replica.running.wait(WAIT)
        assert replica.closed.wait(WAIT)
        ended = 'tts_requests_total{model="hibari",status="cancelled"} 1.0'
        assert eventually(lambda: ended in httpx.get(f"{url}/metrics").text)
        assert 'tts_active_requests{model="hibari"} 0.0' in httpx.get(f"{url}/metrics").text


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}])
def test_a_client_that_leaves_stops_the_recognition_and_its_file_is_deleted(fakes, serve, fields):
    replica = fakes.listener(script=[fakes.Step(Segment(0, 1, "a")), fakes.Step(hold=True)])
    with serve(fakes.application(replica)) as url:
        impatient = httpx.Timeout(WAIT, read=0.5)
        with httpx.Client(base_url=url, timeout=impatient) as client, pytest.raises(httpx.ReadTimeout):
            client.post("/v1/audio/transcriptions", files={"file": b"x" * 2**21}, data=fields)
        assert replica.closed.wait(WAIT)
    assert not replica.asked[0][1].source.exists()


def test_an_error_in_the_middle_of_the_audio_is_no_clean_end(fakes, serve):
    script = [fakes.Step(Encoded(b"first", 0.2)), fakes.Step(error=RuntimeError("boom"))]
    replica = fakes.speaker(script=script)
    with serve(fakes.application(replica)) as url:
        with (
            httpx.Client(base_url=url, timeout=WAIT) as client,
            client.stream("POST", PATH, json=SPEECH) as response,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            list(response.iter_raw())
        assert httpx.get(f"{url}/health/live").status_code == 200


def test_a_body_that_stops_half_way_is_ended(fakes, serve):
    with serve(fakes.application(server={"body_idle_seconds": 0.3})) as url, connect(url) as sock:
        sock.sendall(speech(SPEECH)[:-20])
        status, headers, body = answer(sock)
        assert status == 408
        assert "stopped half way" in json.loads(body)["error"]["message"]
        assert headers["connection"] == "close"
        assert "x-request-id" in headers
        assert sock.recv(1) == b""


def test_a_multipart_body_that_stops_half_way_is_ended(fakes, serve):
    with serve(fakes.application(server={"body_idle_seconds": 0.3})) as url, connect(url) as sock:
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
        head = (
            "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        sock.sendall(head.encode() + f"{len(part):x}\r\n".encode() + part + b"\r\n")
        status, _, body = answer(sock)
        assert status == 408
        assert json.loads(body)["error"]["code"] == "request_timeout"


def test_a_body_that_drips_is_ended_too(fakes, serve):
    with serve(fakes.application(server={"body_idle_seconds": 5, "body_seconds": 0.5})) as url:
        with httpx.Client(base_url=url, timeout=WAIT) as client:
            response = client.post(PATH, content=drip(), headers={"content-type": "application/json"})
        assert response.status_code == 408
        assert "longer than 0.5 s" in response.json()["error"]["message"]


def drip():
    while True:
        time.sleep(0.02)
        yield b" "


def test_a_declared_length_over_the_limit_is_refused_before_it_is_sent(fakes, serve):
    with serve(fakes.application()) as url, connect(url) as sock:
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
        sock.sendall(head.encode())
        status, headers, body = answer(sock)
        assert status == 413
        assert json.loads(body)["error"]["code"] == "limit_exceeded"
        assert headers["connection"] == "close"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_busy_sending_too_much_reads_the_413(fakes, serve, chunked):
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = part + b"x" * (20 * 2**20)
    app = fakes.application(limits={"upload_bytes": 2**20})
    with serve(app) as url, httpx.Client(base_url=url, timeout=WAIT) as client:
        content = iter([body[at : at + 2**16] for at in range(0, len(body), 2**16)]) if chunked else body
        kind = {"content-type": "multipart/form-data; boundary=b"}
        assert client.post("/v1/audio/transcriptions", content=content, headers=kind).status_code == 413


def test_json_bodies_have_their_own_smaller_limit(fakes, serve):
    app = fakes.application(limits={"text_characters": 100})
    with serve(app) as url, httpx.Client(base_url=url, timeout=WAIT) as client:
        for kind in ("application/json", "multipart/form-data; boundary=b"):
            response = client.post(PATH, content=b" " * 2**18, headers={"content-type": kind})
            assert response.status_code == 413


def test_a_client_that_takes_nothing_is_dropped(fakes, serve):
    endless = [fakes.Step(Encoded(b"\0" * 2**18, 0.1))] * 4000  # 1 GB, more than any socket buffer
    replica = fakes.speaker(script=endless)
    with serve(fakes.application(replica, server={"send_seconds": 0.5})) as url, connect(url) as sock:
        sock.sendall(speech(SPEECH))
        assert replica.closed.wait(WAIT)
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):  # cut off, not left hanging
            answer(sock)


def test_more_than_the_places_at_a_model_is_429(fakes, serve):
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"first", 0.2)), fakes.Step(hold=True)])
    app = fakes.application(replica, fakes.listener(), limits={"waiting": 1})
    with serve(app) as url, httpx.Client(base_url=url, timeout=WAIT) as client:
        with client.stream("POST", PATH, json=SPEECH) as response:
            pieces = response.iter_raw()
            next(pieces)
            refused = client.post(PATH, json=SPEECH)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            # another model has places of its own
            assert client.post("/v1/audio/transcriptions", files={"file": b"RIFF"}).status_code == 200
        assert replica.closed.wait(WAIT)
        replica.script = replica.script[:1]
        assert client.post(PATH, json=SPEECH).content == b"first"


def test_a_kept_connection_serves_on_after_an_error(fakes, serve):
    with serve(fakes.application()) as url, httpx.Client(base_url=url, timeout=WAIT) as client:
        for change, status in (({"input": ""}, 400), ({}, 200), ({"model": "x"}, 404), ({}, 200)):
            assert client.post(PATH, json=SPEECH | change).status_code == status


def test_the_replicas_run_as_long_as_the_server(fakes, serve, tmp_path):
    seen = []

    @asynccontextmanager
    async def running():
        seen.append("started")
        yield
        await asyncio.sleep(0)
        seen.append("stopped")

    settings = Settings(jobs=JobSettings(folder=tmp_path))
    with serve(create_app(Gateway([fakes.speaker()], settings.limits), settings, "1", running())) as url:
        assert httpx.get(f"{url}/health/ready").status_code == 200
        assert seen == ["started"]
    assert seen == ["started", "stopped"]


def test_transcript_events_are_sent_as_they_come(fakes, serve):
    script = [fakes.Step(Segment(0, 1, "First.", "en")), fakes.Step(hold=True)]
    replica = fakes.listener(script=script)
    with serve(fakes.application(replica)) as url, httpx.Client(base_url=url, timeout=WAIT) as client:
        request = {"files": {"file": b"RIFF"}, "data": {"stream": "true"}}
        with client.stream("POST", "/v1/audio/transcriptions", **request) as response:
            pieces = response.iter_text()
            assert "First." in next(pieces)
        assert replica.closed.wait(WAIT)


def test_a_websocket_is_told_where_recordings_go(fakes, serve):
    opening = (
        b"GET /v1/realtime?intent=transcription HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with serve(fakes.application()) as url, connect(url) as sock:
        sock.sendall(opening)
        status, headers, body = answer(sock)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (404, "unknown_url")
    assert "not served by this version" in error["message"]
    assert "/v1/audio/transcriptions" in error["message"]
    assert headers["x-request-id"]


LARGE = b"x" * 70_000


@pytest.mark.parametrize(
    "junk",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-large: " + LARGE,
        b"GET / HTTP/1.1\r\nx-large: " + LARGE + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x-many: abcdefgh\r\n" * 5_000 + b"\r\n",
        b"GET /" + LARGE + b" HTTP/1.1\r\n\r\n",
        b"\n" * 50,
    ],
    ids=len,
)
def test_what_cannot_be_read_is_refused_as_everything_else(fakes, serve, junk):
    with serve(fakes.application()) as url, connect(url) as sock:
        sock.sendall(junk)
        status, headers, body = answer(sock)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_trailers_without_end_are_refused(fakes, serve):
    head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    with serve(fakes.application()) as url, connect(url) as sock:
        sock.sendall(head + b"x: " + LARGE * 6)
        assert answer(sock)[0] == 400


def test_a_long_body_in_small_chunks_is_no_long_header(fakes, serve):
    head = (
        b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    body = json.dumps(SPEECH | {"input": "Hi." + " " * 1_000}).encode()
    chunks = b"".join(b"1;" + b"e" * 100 + b"\r\n" + body[i : i + 1] + b"\r\n" for i in range(len(body)))
    with serve(fakes.application(fakes.speaker())) as url, connect(url) as sock:
        sock.sendall(head + chunks + b"0\r\n\r\n")
        assert answer(sock)[0] == 200


def test_blank_lines_before_a_request_are_let_go(fakes, serve):
    with serve(fakes.application()) as url, connect(url) as sock:
        for _ in range(2):
            sock.sendall(b"\r\nGET /health/live HTTP/1.1\r\nhost: x\r\n\r\n\r\n")
            assert answer(sock)[0] == 200


def test_a_refusal_is_never_put_into_an_answer(fakes, serve):
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"first", 0.2)), fakes.Step(hold=True)])
    with serve(fakes.application(replica)) as url, connect(url) as sock:
        sock.sendall(speech(SPEECH))
        heard = b""
        while b"first" not in heard:
            heard += sock.recv(4096)
        sock.sendall(b"this is no HTTP\r\n\r\n")
        with suppress(ConnectionError):
            while more := sock.recv(4096):
                heard += more
        assert b"HTTP/1.1 400" not in heard  # an id may hold these digits
        assert replica.closed.wait(WAIT)


def test_a_header_that_never_ends_is_not_awaited_for_ever(fakes, serve, monkeypatch):
    monkeypatch.setattr("sonorant.protocols.http.HEADER_SECONDS", 0.3)
    with serve(fakes.application()) as url:
        for begun in (b"", b"GET / HTTP/1.1\r\nx: "):
            with connect(url) as sock:
                sock.sendall(begun)
                assert sock.recv(100) == b""
        with connect(url) as sock:  # nor is the next header of a connection
            sock.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert answer(sock)[0] == 200
            sock.sendall(b"GET /health")
            assert sock.recv(100) == b""
