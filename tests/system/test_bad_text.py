"""Requests for speech that cannot be met: each a 4xx in OpenAI's shape, soon, and the next one is fine."""

import json
import socket

import httpx
import pytest

pytestmark = pytest.mark.system

SPEECH = "/v1/audio/speech"


@pytest.fixture(autouse=True)
def _next_request_is_fine(server):
    yield
    body = {"model": "tts-1", "voice": "alloy", "input": "Fine.", "response_format": "pcm"}
    assert len(server.http.post(SPEECH, json=body).raise_for_status().content) > 10_000


@pytest.fixture
def refused(server, assert_refused):
    """refused(fields …) → the error that these fields of a good request cause."""

    def ask(**fields):
        body = {"model": "tts-1", "voice": "alloy", "input": "Hello."} | fields
        data = json.dumps(body)  # ASCII: halves of surrogate pairs travel as \ud800
        headers = {"content-type": "application/json"}
        return assert_refused(server.http.post(SPEECH, content=data, headers=headers))

    return ask


@pytest.mark.parametrize(
    "text",
    ["", "   \n\t ", "\x00", "Hello\x07 there.", "\x1b[31mred", "\ud800", "a\udfff", "x" * 100_001],
    ids=["empty", "white", "nul", "bell", "escape", "high-surrogate", "low-surrogate", "too-long"],
)
def test_text_that_is_none(refused, text):
    error = refused(input=text)
    assert (error["param"], error["code"]) == ("input", "invalid_text")


@pytest.mark.parametrize("text", ["…", "?!", "😀😀", "— — —", "\u200b", "你好"], ids=ascii)
def test_text_that_cannot_be_spoken(refused, text):
    assert "nothing that can be spoken" in refused(input=text)["message"]


@pytest.mark.parametrize(
    ("field", "value", "known"),
    [
        ("model", "gpt-9", ["hibari", "moonshine-tiny"]),
        ("voice", "nobody", ["alloy", "shimmer"]),
        ("response_format", "ogg", ["mp3", "opus", "aac", "flac", "wav", "pcm"]),
        ("stream_format", "ndjson", ["audio", "sse"]),
        ("speed", 9, ["4"]),
        ("speed", 0.1, ["0.25"]),
        ("sample_rate", 7, ["8000"]),
    ],
)
def test_what_is_known_is_listed(refused, field, value, known):
    error = refused(**{field: value})
    assert error["param"] == field
    assert all(name in error["message"] for name in known), error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", 5),
        ("input", None),
        ("input", ["a", "b"]),
        ("input", {"text": "a"}),
        ("model", 1),
        ("model", "m" * 10_000),
        ("voice", ["alloy"]),
        ("voice", "\ud800"),
        ("speed", "fast"),
        ("speed", True),
        ("speed", float("nan")),
        ("speed", float("inf")),
        ("speed", 10**400),
        ("seed", -1),
        ("instructions", "angrily"),
        ("language", "fr"),
        ("model", "moonshine-tiny"),
    ],
    ids=str,
)
def test_fields_of_wrong_types_and_values(refused, field, value):
    error = refused(**{field: value})
    assert error["param"] == field
    assert len(error["message"]) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"Hello"', b"{}", b'{"input": "a"', b"\xff\xfe", b'{"input": "\xc3\x28"}',
        b"[" * 50_000, b'{"input": "a\x00b"}',
    ],
    ids=lambda body: ascii(body[:12]),
)  # fmt: skip
def test_bodies_that_are_no_request(server, assert_refused, body):
    assert_refused(server.http.post(SPEECH, content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "audio/wav", ""])
def test_a_wrong_content_type(server, assert_refused, kind):
    body = b'{"model": "tts-1", "voice": "alloy", "input": "Hello."}'
    assert_refused(server.http.post(SPEECH, content=body, headers={"content-type": kind}))


def test_a_body_that_is_too_large(server, assert_refused):
    error = assert_refused(server.http.post(SPEECH, content=b" " * 5_000_000))
    assert error["code"] == "limit_exceeded"


def test_wrong_methods_and_paths(server, assert_refused):
    assert assert_refused(server.http.get(SPEECH))["code"] == "method_not_allowed"
    assert assert_refused(server.http.post("/v1/audio/song", json={}))["code"] == "unknown_url"
    assert_refused(server.http.get("/v1/models/nobody"))
    assert_refused(server.http.get("/v1/audio/voices/hibari/nobody/preview"))
    assert_refused(server.http.get("/v1/audio/voices/..%2f..%2fetc/passwd/preview"))


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01", b"GET /\r\n\r\n", b"\n" * 5000], ids=ascii)
def test_what_is_no_http(server, junk):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(junk + b"\r\n\r\n")
        assert peer.recv(4096).startswith((b"HTTP/1.1 400", b""))


def test_huge_header_fields(server):
    try:
        response = server.http.get("/health/live", headers={"x-large": "x" * 200_000})
        assert 400 <= response.status_code < 500
    except httpx.TransportError:
        pass  # it hung up while they were still being sent
    assert server.http.get("/health/live").status_code == 200
