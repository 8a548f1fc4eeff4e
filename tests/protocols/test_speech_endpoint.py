"""POST /v1/audio/speech, without a network."""

import base64
import json

import pytest

from sonorant.errors import NotReadyError, TextError
from sonorant.tasks import AudioFormat, Encoded, State, Word

PATH = "/v1/audio/speech"
HELLO = {"model": "hibari", "input": "Hello.", "voice": "amy"}


def problem(response):
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("opus", "audio/ogg"), ("aac", "audio/aac"),
     ("flac", "audio/flac"), ("pcm", "audio/pcm"), ("mulaw", "audio/PCMU;rate=8000"),
     ("alaw", "audio/PCMA;rate=8000"), ("wav-mulaw", "audio/wav"), ("wav-alaw", "audio/wav"), (None, "audio/mpeg")],
)  # fmt: skip
def test_each_format_has_its_content_type(ask, fakes, name, content_type):
    replica = fakes.speaker()
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO | {"response_format": name})
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.headers["x-accel-buffering"] == "no"
    assert response.content == b"head-body"
    assert replica.asked[0][2].format is AudioFormat(name or "mp3")


def test_the_request_reaches_the_replica_whole(ask, fakes):
    replica = fakes.speaker(instructions=True)
    fields = {
        "model": "tts-1",
        "input": "Grüße 你好",
        "voice": {"id": "cat"},
        "speed": 2,
        "instructions": "softly",
        "sample_rate": 8000,
        "loudness": -16,
        "trim_silence": True,
        "language": "en-GB",
        "seed": 7,
        "field_of_another_server": True,
    }
    assert ask(fakes.application(replica), "POST", PATH, json=fields).status_code == 200
    request, text, delivery = replica.asked[0]
    assert (request.model, request.voice, request.speed) == ("hibari", "cat", 2.0)
    assert (request.instructions, request.language, request.seed) == ("softly", "en-GB", 7)
    assert (text, delivery.sample_rate) == ("Grüße 你好", 8000)
    assert (delivery.loudness, delivery.trim_silence) == (-16.0, True)


def test_nothing_but_text_is_enough(ask, fakes):
    replica = fakes.speaker()
    body = {"input": "Hi", "voice": None, "speed": None}
    response = ask(fakes.application(replica), "POST", PATH, json=body)
    assert response.status_code == 200
    assert (replica.asked[0][0].voice, replica.asked[0][0].speed) == ("amy", 1.0)


def test_sse_carries_the_same_bytes_and_ends_with_done(ask, fakes):
    response = ask(fakes.application(), "POST", PATH, json=HELLO | {"stream_format": "sse"})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * 2 + ["speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == b"head-body"
    assert events[-1]["usage"] == {"input_tokens": 6, "output_tokens": 0, "total_tokens": 6}


@pytest.mark.parametrize(
    ("change", "status", "param", "said"),
    [
        ({"input": ""}, 400, "input", "empty"),
        ({"input": " \n\t"}, 400, "input", "empty"),
        ({"input": "x" * 101}, 400, "input", "100"),
        ({"input": "bell \x07"}, 400, "input", "U+0007"),
        ({"input": "nul \x00"}, 400, "input", "U+0000"),
        ({"input": 5}, 400, "input", "string"),
        ({"input": None}, 400, "input", "string"),
        ({"model": "gpt-9"}, 404, "model", "hibari"),
        ({"model": "moonshine"}, 400, "model", "/v1/audio/transcriptions"),
        ({"model": "whisper-1"}, 400, "model", "/v1/audio/transcriptions"),
        ({"model": ["hibari"]}, 400, "model", "string"),
        ({"voice": "zoe"}, 400, "voice", "amy, bob, cat"),
        ({"voice": 3}, 400, "voice", "wrong"),
        ({"voice": {"name": "amy"}}, 400, "voice", "string"),
        ({"response_format": "ogg"}, 400, "response_format", "'flac'"),
        ({"stream_format": "ws"}, 400, "stream_format", "'sse'"),
        ({"speed": "fast"}, 400, "speed", "number"),
        ({"speed": 0.1}, 400, "speed", "0.25"),
        ({"speed": 4.5}, 400, "speed", "4"),
        ({"speed": True}, 400, "speed", "number"),
        ({"sample_rate": 96000}, 400, "sample_rate", "48000"),
        ({"loudness": -8.5}, 400, "loudness", "-9"),
        ({"loudness": -40}, 400, "loudness", "-31"),
        ({"loudness": "loud"}, 400, "loudness", "number"),
        ({"trim_silence": "yes"}, 400, "trim_silence", "boolean"),
        ({"response_format": "srt"}, 400, "response_format", "does not measure when each word"),
        ({"response_format": "vtt", "stream_format": "sse"}, 400, "stream_format", "timestamp_granularities"),
        ({"seed": -1}, 400, "seed", "0"),
        ({"instructions": "whisper"}, 400, "instructions", "instructions"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(ask, fakes, change, status, param, said):
    app = fakes.application(limits={"text_characters": 100})
    response = ask(app, "POST", PATH, json=HELLO | change)
    assert response.status_code == status
    error = problem(response)
    assert error["param"] == param
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"
    assert ask(app, "POST", PATH, json=HELLO).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (b"{", {"content-type": "application/json"}, "not JSON"),
        (b"[1]", {"content-type": "application/json"}, "JSON object"),
        (b"\xff\xfe", {"content-type": "application/json"}, "body"),
        (b'{"input": "a"}', {"content-type": "text/plain"}, "Content-Type"),
        (b'{"input": "half \\ud800"}', {"content-type": "application/json"}, "U+D800"),
        (b'{"input": "a", "model": "\\udfff"}', {"content-type": "application/json"}, "model"),
        (b'{"input": "a", "speed": NaN}', {"content-type": "application/json"}, "speed"),
        (b"[" * 20000, {"content-type": "application/json"}, "body"),
        (b"", {}, "JSON object"),
    ],
)
def test_bodies_that_are_no_request(ask, fakes, body, headers, said):
    response = ask(fakes.application(), "POST", PATH, content=body, headers=headers)
    assert response.status_code == 400
    assert said in problem(response)["message"]


def test_an_error_before_the_first_audio_is_a_proper_response(ask, fakes):
    nothing = TextError("There is nothing to speak in it", param="input")
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"", 0.0)), fakes.Step(error=nothing)])
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO | {"input": "…"})
    assert response.status_code == 400
    assert problem(response)["message"] == "There is nothing to speak in it."
    assert problem(response)["code"] == "invalid_text"


def test_an_unexpected_error_tells_only_its_request_id(ask, fakes):
    replica = fakes.speaker(script=[fakes.Step(error=KeyError("a secret of the inside"))])
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO, headers={"x-request-id": "mine-1"})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "mine-1" in problem(response)["message"]
    assert response.headers["x-request-id"] == "mine-1"


def test_synthesis_without_audio_is_an_error(ask, fakes):
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"", 0.0))])
    assert ask(fakes.application(replica), "POST", PATH, json=HELLO).status_code == 500


def test_an_error_after_the_first_audio_ends_sse_with_an_error_event(ask, fakes):
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"a", 0.1)), fakes.Step(error=RuntimeError("boom"))])
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO | {"stream_format": "sse"})
    last = json.loads(response.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["type"] == "error"
    assert "boom" not in last["error"]["message"]


def test_a_model_that_loads_or_failed_says_so_while_others_go_on(ask, fakes):
    reason = "a.onnx is damaged. Run `sonorant pull broken`."
    broken = fakes.speaker(name="broken", state=State.FAILED, reason=reason)
    loading = fakes.speaker(name="slow", state=State.LOADING)
    app = fakes.application(broken, loading, fakes.speaker())
    failed = ask(app, "POST", PATH, json=HELLO | {"model": "broken"})
    assert failed.status_code == 503
    assert "sonorant pull broken" in problem(failed)["message"]
    assert failed.headers["x-should-retry"] == "false"
    waiting = ask(app, "POST", PATH, json=HELLO | {"model": "slow"})
    assert waiting.status_code == 503
    assert int(waiting.headers["retry-after"]) > 0
    assert ask(app, "POST", PATH, json=HELLO).status_code == 200


def test_a_replica_may_turn_unready_itself(ask, fakes):
    replica = fakes.speaker(script=[fakes.Step(error=NotReadyError("hibari is restarting"))])
    assert ask(fakes.application(replica), "POST", PATH, json=HELLO).status_code == 503


def test_word_times_come_with_their_audio_when_asked_for(fakes, ask):
    words = (Word("Hi", 0.1, 0.3), Word("there.", 0.3, 0.7))
    script = [fakes.Step(Encoded(b"head", 0.4, words)), fakes.Step(Encoded(b"-body", 0.3))]
    fields = {"input": "Hi there.", "stream_format": "sse", "timestamp_granularities": ["word"]}
    events = _events(ask(fakes.application(fakes.speaker(script=script)), "POST", PATH, json=fields).text)
    assert [e["type"] for e in events] == [
        "speech.audio.words", "speech.audio.delta", "speech.audio.delta", "speech.audio.done",
    ]  # fmt: skip
    assert events[0]["words"][1] == {"word": "there.", "start": 0.3, "end": 0.7}
    del fields["timestamp_granularities"]
    events = _events(ask(fakes.application(fakes.speaker(script=script)), "POST", PATH, json=fields).text)
    assert "speech.audio.words" not in [e["type"] for e in events]


@pytest.mark.parametrize(
    ("shape", "content_type", "expected"),
    [
        ("srt", "text/plain; charset=utf-8", "1\n00:00:00,100 --> 00:00:01,100\nHi there.\n\n2\n00:00:01,500 --> "
         "00:00:02,500\nBye.\n\n"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:00.100 --> 00:00:01.100\nHi there.\n\n00:00:01.500 --> "
         "00:00:02.500\nBye.\n\n"),
    ],
)  # fmt: skip
def test_subtitles_are_those_of_the_speech(fakes, ask, shape, content_type, expected):
    words = (Word("Hi", 0.1, 0.3), Word("there.", 0.3, 0.7))
    script = [fakes.Step(Encoded(b"a", 1.4, words)), fakes.Step(Encoded(b"b", 1, (Word("Bye.", 1.5, 1.9),)))]
    replica = fakes.speaker(script=script, word_times=True)
    fields = {"input": "Hi there. Bye.", "response_format": shape, "trim_silence": True}
    response = ask(fakes.application(replica), "POST", PATH, json=fields)
    assert (response.status_code, response.headers["content-type"]) == (200, content_type)
    assert response.text == expected
    assert replica.asked[0][2].trim_silence


def test_subtitles_that_would_fit_no_audio_are_refused(fakes, ask):
    replica = fakes.speaker(word_times=True, varied=True)
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO | {"response_format": "srt"})
    assert response.status_code == 400
    assert problem(response)["code"] == "unsupported"
    assert "timestamp_granularities" in problem(response)["message"]
    assert replica.asked == []


def test_g711_at_another_rate_says_so(fakes, ask):
    fields = HELLO | {"response_format": "mulaw", "sample_rate": 16000}
    response = ask(fakes.application(), "POST", PATH, json=fields)
    assert response.headers["content-type"] == "audio/PCMU;rate=16000"


def _events(text: str) -> list[dict]:
    return [
        json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")
    ]


def test_markup_reaches_the_replica_as_utterances_and_what_is_not_obeyed_is_reported(ask, fakes):
    replica = fakes.speaker()
    ssml = '<speak>Hello <voice name="nova">you</voice>.<break time="1s"/><emphasis>Bye</emphasis></speak>'
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO | {"input": ssml})
    assert response.status_code == 200
    assert response.headers["x-sonorant-ignored"] == "emphasis"
    _, text, _ = replica.asked[0]
    assert [(u.text, u.voice) for u in text] == [("Hello", ""), ("you.", "cat"), ("Bye", "")]
    assert text[1].pause == 1.0


@pytest.mark.parametrize(
    ("ssml", "message"),
    [
        ("<speak>a & b</speak>", "not well-formed"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><speak>&b;</speak>', "document type"),
        ('<speak><voice name="nobody">a</voice></speak>', "no voice 'nobody'"),
    ],
)
def test_markup_that_cannot_be_obeyed_is_refused(ask, fakes, ssml, message):
    response = ask(fakes.application(fakes.speaker()), "POST", PATH, json=HELLO | {"input": ssml})
    assert response.status_code in (400, 404)
    assert message in problem(response)["message"]


def test_a_lexicon_reaches_the_replica(ask, fakes):
    replica = fakes.speaker()
    body = HELLO | {"lexicon": {"en": {"GIF": "/dʒɪf/"}}}
    assert ask(fakes.application(replica), "POST", PATH, json=body).status_code == 200
    (entry,) = replica.asked[0][0].lexicon
    assert (entry.word, entry.language, entry.reading) == ("GIF", "en", "/dʒɪf/")
    response = ask(fakes.application(replica), "POST", PATH, json=HELLO | {"lexicon": {"en": {"GIF": ""}}})
    assert response.status_code == 400
    assert problem(response)["param"] == "lexicon"
