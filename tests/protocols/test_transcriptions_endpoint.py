"""POST /v1/audio/transcriptions, without a network."""

import json
import zlib

import pytest

from sonorant.errors import AudioError, UnsupportedError
from sonorant.tasks import Segment, TranscriptEnd, Word

PATH = "/v1/audio/transcriptions"
TEXT = "Hello there. Second & last."


def send(ask, app, data=None, audio=b"RIFF....", **request):
    return ask(app, "POST", PATH, files={"file": ("talk.wav", audio)}, data=data or {}, **request)


def test_json(ask, fakes):
    replica = fakes.listener()
    fields = {"model": "whisper-1", "language": "en", "prompt": "Zürich", "temperature": "0.5", "itn": "true"}
    response = send(ask, fakes.application(replica), fields)
    assert response.json() == {"text": TEXT, "usage": {"type": "duration", "seconds": 5.5}}
    request, upload, content = replica.asked[0]
    assert (request.model, request.language, request.prompt) == ("moonshine", "en", "Zürich")
    assert (request.temperature, request.itn, request.words) == (0.5, True, False)
    assert (upload.name, content) == ("talk.wav", b"RIFF....")


def test_text_srt_and_vtt(ask, fakes):
    app = fakes.application()
    assert send(ask, app, {"response_format": "text"}).text == TEXT + "\n"
    assert send(ask, app, {"response_format": "srt"}).text == (
        "1\n00:00:00,500 --> 00:00:02,250\nHello there.\n\n"
        "2\n00:00:03,000 --> 00:00:04,500\nSecond & last.\n\n"
    )
    vtt = send(ask, app, {"response_format": "vtt"})
    assert vtt.headers["content-type"].startswith("text/vtt")
    assert vtt.text == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\nHello there.\n\n"
        "00:00:03.000 --> 00:00:04.500\nSecond &amp; last.\n\n"
    )


def test_verbose_json_says_what_was_measured_and_null_for_the_rest(ask, fakes):
    answer = send(ask, fakes.application(), {"response_format": "verbose_json"}).json()
    assert (answer["task"], answer["language"], answer["duration"], answer["text"]) == (
        "transcribe", "english", 5.5, TEXT,
    )  # fmt: skip
    assert answer["segments"][0] == {
        "id": 0, "seek": 50, "start": 0.5, "end": 2.25, "text": "Hello there.", "tokens": [1, 2],
        "temperature": 0.0, "avg_logprob": -0.25, "no_speech_prob": 0.0625,
        "compression_ratio": 12 / len(zlib.compress(b"Hello there.")),
    }  # fmt: skip
    assert answer["segments"][1]["avg_logprob"] is None
    assert "words" not in answer


def test_words_only_where_they_are_measured(ask, fakes):
    asked = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    refused = send(ask, fakes.application(), asked)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "timestamp_granularities"
    assert "never invented" in refused.json()["error"]["message"]
    segment = Segment(0, 1, "Hi you", "en", words=(Word("Hi", 0.1, 0.4), Word("you", 0.5, 0.9)))
    replica = fakes.listener(word_times=True, script=[fakes.Step(segment), fakes.Step(TranscriptEnd(1.0))])
    answer = send(ask, fakes.application(replica), asked).json()
    assert replica.asked[0][0].words
    assert answer["words"] == [
        {"word": "Hi", "start": 0.1, "end": 0.4},
        {"word": "you", "start": 0.5, "end": 0.9},
    ]
    assert "segments" not in answer


def test_stream_sends_deltas_that_join_to_the_text(ask, fakes):
    response = send(ask, fakes.application(), {"stream": "true"})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == TEXT


def test_chinese_segments_join_without_a_space(ask, fakes):
    script = [fakes.Step(Segment(0, 1, "你好，", "zh")), fakes.Step(Segment(1, 2, "世界。", "zh"))]
    replica = fakes.listener(script=[*script, fakes.Step(TranscriptEnd(2.0))])
    assert send(ask, fakes.application(replica), {"response_format": "text"}).text == "你好，世界。\n"


def test_korean_segments_join_with_a_space(ask, fakes):
    script = [fakes.Step(Segment(0, 1, "안녕", "ko")), fakes.Step(Segment(1, 2, "세계", "ko"))]
    replica = fakes.listener(script=[*script, fakes.Step(TranscriptEnd(2.0))])
    assert send(ask, fakes.application(replica), {"response_format": "text"}).text == "안녕 세계\n"


def test_silence_is_an_empty_transcript(ask, fakes):
    replica = fakes.listener(script=[fakes.Step(TranscriptEnd(3.0))])
    app = fakes.application(replica)
    assert send(ask, app).json()["text"] == ""
    assert send(ask, app, {"response_format": "vtt"}).text == "WEBVTT\n\n"


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 3 * 2**20])
def test_uploads_arrive_whole_and_their_files_are_deleted(ask, fakes, size):
    replica = fakes.listener()
    audio = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert send(ask, fakes.application(replica), audio=audio).status_code == 200
    _, upload, content = replica.asked[0]
    assert content == audio
    assert isinstance(upload.source, bytes) or not upload.source.exists()


def test_the_file_is_deleted_after_a_failure_too(ask, fakes):
    replica = fakes.listener(script=[fakes.Step(error=AudioError("This is no audio", param="file"))])
    response = send(ask, fakes.application(replica), audio=b"x" * 2**21)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_audio"
    assert not replica.asked[0][1].source.exists()


@pytest.mark.parametrize(
    ("fields", "status", "param", "said"),
    [
        ({"model": "gpt-9"}, 404, "model", "moonshine"),
        ({"model": "hibari"}, 400, "model", "/v1/audio/speech"),
        ({"response_format": "diarized_json"}, 400, "response_format", "'verbose_json'"),
        ({"temperature": "1.5"}, 400, "temperature", "1"),
        ({"temperature": "warm"}, 400, "temperature", "number"),
        ({"stream": "perhaps"}, 400, "stream", "bool"),
        ({"stream": "true", "response_format": "srt"}, 400, "stream", "srt"),
        ({"timestamp_granularities[]": "segment"}, 400, "timestamp_granularities", "verbose_json"),
        ({"timestamp_granularities[]": "phone"}, 400, "timestamp_granularities", "'word'"),
        ({"include[]": "logprobs"}, 400, "include", "logprobs"),
        ({"chunking_strategy": "none"}, 400, "chunking_strategy", "auto"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(ask, fakes, fields, status, param, said):
    response = send(ask, fakes.application(), fields)
    assert response.status_code == status
    assert response.json()["error"]["param"] == param
    assert said in response.json()["error"]["message"]


@pytest.mark.parametrize("strategy", ["auto", '{"type": "server_vad", "threshold": 0.4}'])
def test_chunking_strategies_of_openai_are_accepted(ask, fakes, strategy):
    assert send(ask, fakes.application(), {"chunking_strategy": strategy}).status_code == 200


def test_a_request_without_a_file_part(ask, fakes):
    app = fakes.application()
    for request in (
        {"data": {"model": "whisper-1"}},
        {"json": {"model": "whisper-1"}},
        {"files": {"other": b"RIFF"}},
        {"content": b"--x\r\ngarbage", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"", "headers": {"content-type": "multipart/form-data"}},
    ):
        response = ask(app, "POST", PATH, **request)
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request_error"
    assert ask(app, "POST", PATH, data={"model": "whisper-1"}).json()["error"]["param"] == "file"


def test_one_file_a_request(ask, fakes):
    files = [("file", ("a.wav", b"RIFF")), ("file", ("b.wav", b"RIFF"))]
    response = ask(fakes.application(), "POST", PATH, files=files)
    assert response.status_code == 400
    assert "Maximum number of files is 1" in response.json()["error"]["message"]


def test_an_empty_file_is_named(ask, fakes):
    response = send(ask, fakes.application(), audio=b"")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "file"


def test_a_file_over_the_limit_is_413(ask, fakes):
    app = fakes.application(limits={"upload_bytes": 1000})
    assert send(ask, app, audio=b"x" * 1000).status_code == 200
    refused = send(ask, app, audio=b"x" * 1001)
    assert refused.status_code == 413
    assert "1,000" in refused.json()["error"]["message"]


def test_what_the_model_cannot_do_is_its_word(ask, fakes):
    no_german = UnsupportedError("moonshine does not know de", why="It knows en", param="language")
    replica = fakes.listener(script=[fakes.Step(error=no_german)])
    response = send(ask, fakes.application(replica), {"language": "de"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "language"


def test_a_stream_that_fails_at_once_is_a_proper_error(ask, fakes):
    replica = fakes.listener(script=[fakes.Step(error=AudioError("This is no audio"))])
    assert send(ask, fakes.application(replica), {"stream": "true"}).status_code == 400
