"""What the server says of itself."""

import pytest

pytestmark = pytest.mark.system


def test_models(client):
    models = {model.id: model for model in client.models.list()}
    assert list(models) == ["hibari", "moonshine-tiny"]
    assert models["hibari"].state == "ready"
    assert client.models.retrieve("whisper-1").id == "moonshine-tiny"


def test_voices_and_their_previews(server, decoded, assert_says):
    voices = server.http.get("/v1/audio/voices").json()["data"]
    assert voices
    for voice in voices:
        assert voice["model"] == "hibari"
        preview = server.http.get(voice["preview_url"])
        assert preview.headers["content-type"] == "audio/mpeg"
        assert decoded(preview.content)[0] == "mp3float"
        heard = server.http.post("/v1/audio/transcriptions", files={"file": preview.content}).json()["text"]
        assert_says(heard, "This is how I sound. Thank you for listening.")


def test_each_voice_can_be_asked_for(server, client):
    for voice in server.http.get("/v1/audio/voices").json()["data"]:
        assert client.audio.speech.create(model="hibari", voice=voice["id"], input="Yes.").content


def test_the_description(server):
    page = server.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/voices", "/v1/models"):
        assert path in page.text
        assert path in server.http.get("/openapi.json").json()["paths"]
    assert "http://" not in page.text
    assert "<script" not in page.text
    assert server.http.get("/").json()["name"] == "sonorant"


def test_the_counts_move(server, client, wav):
    def counts() -> list[float]:
        speech, heard = {"model": "hibari"}, {"model": "moonshine-tiny"}
        return [
            server.metric("tts_requests_total", status="ok", **speech),
            server.metric("tts_audio_seconds_total", **speech),
            server.metric("tts_time_to_first_audio_seconds_count", **speech),
            server.metric("tts_realtime_factor_count", **speech),
            server.metric("asr_requests_total", status="ok", **heard),
            server.metric("asr_audio_seconds_total", **heard),
            server.metric("asr_realtime_factor_count", **heard),
        ]

    before = counts()
    client.audio.speech.create(model="tts-1", voice="alloy", input="One more sentence.")
    client.audio.transcriptions.create(model="whisper-1", file=("x.wav", wav))
    after = counts()
    assert all(new > old for new, old in zip(after, before, strict=True)), (before, after)
    assert server.metric("sonorant_model_state", model="hibari", state="ready") == 1
    assert server.metric("tts_active_requests", model="hibari") == 0


def test_every_answer_has_an_id(server):
    assert server.http.get("/health/live").headers["x-request-id"].startswith("req_")
    echoed = server.http.get("/v1/models", headers={"x-request-id": "mine-1"})
    assert echoed.headers["x-request-id"] == "mine-1"
    lost = server.http.get("/nowhere")
    assert (lost.status_code, lost.json()["error"]["code"]) == (404, "unknown_url")
    assert lost.headers["x-request-id"]
    said = {"input": "Nobody else may read this."}
    assert server.http.post("/v1/audio/speech", json=said).headers["x-accel-buffering"] == "no"
    assert "Nobody else" not in server.log()
