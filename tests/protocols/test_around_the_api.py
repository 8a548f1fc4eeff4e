"""Models, voices, health, metrics, documentation, keys, CORS and ids."""

import json
import logging

import pytest

from sonorant.gateway import Gateway
from sonorant.in_force import InForce
from sonorant.protocols.app import create_app
from sonorant.settings import LimitSettings, Settings
from sonorant.tasks import Encoded, State

SPEECH = "/v1/audio/speech"


def test_models_lists_what_is_served_and_finds_aliases(ask, fakes):
    app = fakes.application()
    listed = ask(app, "GET", "/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["hibari", "moonshine"]
    assert {model["object"] for model in listed["data"]} == {"model"}
    assert ask(app, "GET", "/v1/models/whisper-1").json()["id"] == "moonshine"
    assert [(model["languages"], model["translation"]) for model in listed["data"]] == [(["en"], False)] * 2
    many = fakes.listener(name="many", languages=("en", "zh"), translation=True)
    listed = ask(fakes.application(many), "GET", "/v1/models").json()
    assert (listed["data"][0]["languages"], listed["data"][0]["translation"]) == (["en", "zh"], True)
    missing = ask(app, "GET", "/v1/models/gpt-9")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


def test_voices_name_where_they_can_be_heard(ask, fakes):
    silent = fakes.speaker(name="later", state=State.LOADING)
    app = fakes.application(fakes.speaker(), silent, server={"root_path": "/voice"})
    voices = ask(app, "GET", "/v1/audio/voices").json()["data"]
    assert [voice["id"] for voice in voices] == ["amy", "bob", "cat", "ulf"]
    assert voices[0] == {
        "id": "amy", "name": "amy", "model": "hibari", "language": "en-US", "gender": "female",
        "description": "calm", "preview_url": "/voice/v1/audio/voices/hibari/amy/preview",
    }  # fmt: skip
    assert voices[3]["preview_url"] is None  # no sentence in Swedish
    preview = ask(app, "GET", voices[0]["preview_url"])
    assert (preview.headers["content-type"], preview.content) == ("audio/mpeg", b"head-body")


def test_previews_are_spoken_once_and_kept(ask, fakes):
    replica = fakes.speaker()
    app = fakes.application(replica)
    for voice in ("cat", "cat", "amy"):
        assert ask(app, "GET", f"/v1/audio/voices/hibari/{voice}/preview").status_code == 200
    assert [asked[0].voice for asked in replica.asked] == ["cat", "amy"]


@pytest.mark.parametrize(("voice", "status"), [("zoe", 400), ("ulf", 400)])
def test_previews_that_cannot_be(ask, fakes, voice, status):
    response = ask(fakes.application(), "GET", f"/v1/audio/voices/hibari/{voice}/preview")
    assert response.status_code == status
    assert "error" in response.json()


@pytest.mark.parametrize(
    ("states", "code", "status"),
    [
        ((State.READY, State.READY), 200, "ok"),
        ((State.READY, State.FAILED), 200, "degraded"),
        ((State.READY, State.LOADING), 503, "loading"),
        ((State.FAILED, State.FAILED), 503, "failed"),
        ((State.STOPPED, State.STOPPED), 503, "failed"),
    ],
)
def test_health_follows_the_models(ask, fakes, states, code, status):
    app = fakes.application(
        fakes.speaker(state=states[0]), fakes.listener(state=states[1], reason="its file is damaged")
    )
    for path in ("/health", "/health/ready"):
        response = ask(app, "GET", path)
        assert (response.status_code, response.json()["status"]) == (code, status)
        assert response.json()["models"][1] == {
            "name": "moonshine", "state": states[1].value, "reason": "its file is damaged", "notice": "",
        }  # fmt: skip
    assert ask(app, "GET", "/health/live").status_code == 200


def test_a_model_that_is_added_later_does_not_make_the_others_unready(ask, fakes):
    first, later = fakes.speaker(), fakes.listener(state=State.LOADING)
    gateway = Gateway([first], LimitSettings())
    app = create_app(gateway, Settings(), "1.2.3")
    assert ask(app, "GET", "/health").json()["status"] == "ok"
    gateway.serve([first, later])
    gateway.notice = "The settings are wrong"
    response = ask(app, "GET", "/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["notice"] == "The settings are wrong"
    first.state = State.FAILED
    assert ask(app, "GET", "/health").status_code == 503


def test_keys_and_limits_that_change_count_for_the_next_request(ask, fakes):
    in_force = InForce(Settings())
    gateway = Gateway([fakes.speaker(), fakes.listener()], LimitSettings())
    app = create_app(gateway, in_force, "1.2.3")

    def asked(key: str = "") -> int:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return ask(app, "GET", "/v1/models", headers=headers).status_code

    def uploaded(size: int) -> int:
        files = {"file": ("a.wav", bytes(size))}
        headers = {"authorization": "Bearer two"}
        return ask(app, "POST", "/v1/audio/transcriptions", files=files, headers=headers).status_code

    assert (asked(), asked("one"), uploaded(3 * 2**20)) == (200, 200, 200)
    in_force.change(Settings.model_validate({"server": {"api_keys": ["one"]}}))
    assert (asked(), asked("one"), asked("two")) == (401, 200, 401)
    changed = {"server": {"api_keys": ["two"]}, "limits": {"upload_bytes": 2**20}}
    in_force.change(Settings.model_validate(changed))
    assert (asked(), asked("one"), asked("two")) == (401, 401, 200)
    assert uploaded(3 * 2**20) == 413


def test_metrics_count_by_served_model_only(ask, fakes):
    app = fakes.application()
    ask(app, "POST", SPEECH, json={"input": "Hi", "model": "tts-1"})
    ask(app, "POST", SPEECH, json={"input": "Hi", "model": "attacker-chosen"})
    ask(app, "GET", "/attacker/chosen")
    ask(app, "POST", "/v1/audio/transcriptions", files={"file": b"RIFF"})
    text = ask(app, "GET", "/metrics").text
    assert 'tts_requests_total{model="hibari",status="ok"} 1.0' in text
    assert 'tts_audio_seconds_total{model="hibari"} 1.0' in text
    assert 'tts_time_to_first_audio_seconds_count{model="hibari"} 1.0' in text
    assert 'tts_realtime_factor_count{model="hibari"} 1.0' in text
    assert 'tts_active_requests{model="hibari"} 0.0' in text
    assert 'asr_requests_total{model="moonshine",status="ok"} 1.0' in text
    assert 'asr_audio_seconds_total{model="moonshine"} 5.5' in text
    assert 'asr_time_to_first_text_seconds_count{model="moonshine"} 1.0' in text
    assert 'sonorant_model_state{model="hibari",state="ready"} 1.0' in text
    assert 'count{method="POST",route="/v1/audio/speech",status="404"} 1.0' in text
    assert 'route="unmatched"' in text
    assert "attacker" not in text


def test_failures_are_counted_as_such(ask, fakes):
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"a", 0.1)), fakes.Step(error=RuntimeError("x"))])
    app = fakes.application(replica)
    ask(app, "POST", SPEECH, json={"input": "Hi", "stream_format": "sse"})
    assert 'tts_requests_total{model="hibari",status="failed"} 1.0' in ask(app, "GET", "/metrics").text


def test_the_schema_documents_what_is_really_answered(ask, fakes):
    schema = ask(fakes.application(), "GET", "/openapi.json").json()
    speech = schema["paths"][SPEECH]["post"]
    assert {"200", "400", "401", "404", "413", "429", "503"} <= set(speech["responses"])
    assert "422" not in json.dumps(schema["paths"])
    assert "audio/mpeg" in speech["responses"]["200"]["content"]
    fields = schema["components"]["schemas"]["SpeechBody"]["properties"]
    assert {"input", "model", "voice", "speed", "response_format", "stream_format"} <= set(fields)
    assert "ErrorBody" in schema["components"]["schemas"]


def test_docs_need_nothing_from_elsewhere(ask, fakes):
    page = ask(fakes.application(), "GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "POST /v1/audio/transcriptions" in page.text
    assert "timestamp_granularities[]" in page.text
    assert "//" not in page.text.replace("<!doctype", "")  # no address of another host
    assert "<script" not in page.text


def test_index_names_the_endpoints(ask, fakes):
    answer = ask(fakes.application(), "GET", "/").json()
    assert (answer["version"], answer["speech"]) == ("1.2.3", "POST /v1/audio/speech")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("GET", SPEECH, 405), ("DELETE", "/", 405)]
)
def test_wrong_addresses_have_openais_shape_too(ask, fakes, method, path, status):
    response = ask(fakes.application(), method, path)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_keys_close_the_api_and_leave_the_probes_open(ask, fakes):
    app = fakes.application(server={"api_keys": ("first", "second")})
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/health", "/health/live", "/health/ready"):
        assert ask(app, "GET", path).status_code == 200
    for path in ("/v1/models", "/v1/audio/voices", "/v1/nothing", "/metrics/", "/health/live/x"):
        assert ask(app, "GET", path).status_code == 401
    for header in ("Bearer wrong", "Bearer ", "Bearer first second", "Basic first", "first", "Bearer \xe9"):
        response = ask(app, "GET", "/v1/models", headers=[(b"authorization", header.encode("latin-1"))])
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert "x-request-id" in response.headers
    for header in ("Bearer first", "bearer second"):
        assert ask(app, "GET", "/v1/models", headers={"authorization": header}).status_code == 200


def test_keys_under_a_root_path(ask, fakes):
    app = fakes.application(server={"api_keys": ("first",), "root_path": "/voice"})
    for path in ("/health/ready", "/voice/health/ready"):  # the proxy strips the path, or it does not
        assert ask(app, "GET", path).status_code == 200
    for path in ("/v1/models", "/voice/v1/models", "/voice"):
        assert ask(app, "GET", path).status_code == 401


def test_pages_of_allowed_origins_may_call(ask, fakes):
    app = fakes.application(server={"cors_origins": ("https://a.example",), "api_keys": ("k",)})
    preflight = {"origin": "https://a.example", "access-control-request-method": "POST",
                 "access-control-request-headers": "authorization"}  # fmt: skip
    assert ask(app, "OPTIONS", SPEECH, headers=preflight).status_code == 200
    refused = ask(app, "GET", "/v1/models", headers={"origin": "https://a.example"})
    assert refused.status_code == 401  # and the page can read why
    assert refused.headers["access-control-allow-origin"] == "https://a.example"
    assert "x-request-id" in refused.headers["access-control-expose-headers"]
    other = ask(app, "OPTIONS", SPEECH, headers=preflight | {"origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("given", ["", "has space", "ä" * 3, "x" * 129, "<script>"])
def test_request_ids_that_are_not_sane_are_replaced(ask, fakes, given):
    response = ask(fakes.application(), "GET", "/", headers=[(b"x-request-id", given.encode("latin-1"))])
    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) > 20


def test_one_log_line_a_request_without_its_text(ask, fakes, caplog):
    with caplog.at_level(logging.INFO, "sonorant.access"):
        ask(fakes.application(), "POST", SPEECH, json={"input": "my secret"}, headers={"x-request-id": "r1"})
    [line] = [record.fields for record in caplog.records if record.name == "sonorant.access"]
    assert (line["request_id"], line["route"], line["status"]) == ("r1", SPEECH, 200)
    assert (line["bytes"], line["complete"]) == (9, True)
    assert "secret" not in caplog.text
