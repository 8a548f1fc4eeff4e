"""A server behind API keys, CORS and a proxy's path, with limits of its own."""

import openai
import pytest

pytestmark = pytest.mark.system

ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def guarded(launch):
    server = launch(
        "hibari", "moonshine-tiny", "--root-path", "/voice", "--api-key", "alpha", "--api-key", "beta",
        SONORANT_SERVER__CORS_ORIGINS=ORIGIN, SONORANT_LIMITS__TEXT_CHARACTERS="60",
        SONORANT_LIMITS__AUDIO_SECONDS="4", SONORANT_LIMITS__UPLOAD_BYTES="3000000",
    )  # fmt: skip
    server.wait_until_settled()
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("path", ["/v1", "/voice/v1"])
@pytest.mark.parametrize("key", ["alpha", "beta"])
def test_with_a_key(guarded, path, key):
    with guarded.sdk(key, path) as sdk:
        assert [model.id for model in sdk.models.list()] == ["hibari", "moonshine-tiny"]
        spoken = sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", response_format="wav")
        heard = sdk.audio.transcriptions.create(model="whisper-1", file=("x.wav", spoken.content))
        assert "hello" in heard.text.lower()


@pytest.mark.parametrize("path", ["/v1", "/voice/v1"])
def test_without_one(guarded, path):
    with guarded.sdk("gamma", path) as sdk:
        with pytest.raises(openai.AuthenticationError, match="not known here"):
            sdk.models.list()
        with pytest.raises(openai.AuthenticationError, match="not known here"):
            sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hi")
    missing = guarded.http.get(f"{path}/audio/voices")
    assert missing.status_code == 401
    assert missing.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in missing.json()["error"]["message"]
    assert "alpha" not in guarded.log()


def test_what_needs_no_key(guarded):
    for path in ("/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json", "/voice/health"):
        assert guarded.http.get(path).status_code == 200


def test_addresses_carry_the_published_path(guarded):
    headers = {"authorization": "Bearer alpha"}
    voices = guarded.http.get("/v1/audio/voices", headers=headers).json()["data"]
    assert all(voice["preview_url"].startswith("/voice/v1/") for voice in voices)
    assert guarded.http.get(voices[0]["preview_url"], headers=headers).headers["content-type"] == "audio/mpeg"
    assert "href='/voice/openapi.json'" in guarded.http.get("/voice/docs").text
    assert guarded.http.get("/voice/openapi.json").json()["servers"] == [{"url": "/voice"}]


def test_pages_of_known_origins_may_ask(guarded):
    asked = {"origin": ORIGIN, "access-control-request-method": "POST",
             "access-control-request-headers": "authorization,content-type"}  # fmt: skip
    preflight = guarded.http.options("/v1/audio/speech", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    body = {"input": "Hello."}
    good = {"origin": ORIGIN, "authorization": "Bearer alpha"}
    for headers, status in ((good, 200), ({"origin": ORIGIN}, 401)):  # a page can read errors too
        answer = guarded.http.post("/v1/audio/speech", json=body, headers=headers)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    evil = {"origin": "https://evil.example"}
    other = guarded.http.post("/v1/audio/speech", json=body, headers=good | evil)
    assert "access-control-allow-origin" not in other.headers
    assert guarded.http.options("/v1/audio/speech", headers=asked | evil).is_error


def test_limits(guarded, wav, assert_refused):
    headers = {"authorization": "Bearer alpha"}
    error = assert_refused(guarded.http.post("/v1/audio/speech", json={"input": "x" * 61}, headers=headers))
    assert "this server takes 60" in error["message"]

    def send(data: bytes):
        files = {"file": ("x.wav", data)}
        return assert_refused(guarded.http.post("/v1/audio/transcriptions", files=files, headers=headers))

    assert "longer than 4 seconds" in send(wav)["message"]
    assert send(bytes(3_500_000))["code"] == "limit_exceeded"
    assert send(bytes(5_000_000))["code"] == "limit_exceeded"
