"""POST /v1/audio/vocodings, without a network."""

import pytest

from sonorant.errors import AudioError
from sonorant.tasks import AudioFormat, Encoded, Task

PATH = "/v1/audio/vocodings"


@pytest.fixture
def vocoder(fakes):
    return fakes.speaker(name="hifigan", task=Task.VOCODING, voices=(), languages=("*",))


def send(ask, app, data=None, content=b"\x93NUMPY...", **request):
    return ask(app, "POST", PATH, files={"file": ("mel.npy", content)}, data=data or {}, **request)


def test_a_file_becomes_audio(ask, fakes, vocoder):
    app = fakes.application(fakes.speaker(), vocoder)
    fields = {"model": "hifigan", "response_format": "wav", "sample_rate": "16000", "loudness": "-20"}
    response = send(ask, app, fields)
    assert (response.status_code, response.content) == (200, b"head-body")
    assert response.headers["content-type"] == "audio/wav"
    [(request, upload, delivery)] = vocoder.asked
    assert (request.model, upload.name, upload.source) == ("hifigan", "mel.npy", b"\x93NUMPY...")
    assert (delivery.format, delivery.sample_rate, delivery.loudness) == (AudioFormat.WAV, 16_000, -20)


def test_without_a_model_it_is_the_one_that_vocodes(ask, fakes, vocoder):
    response = send(ask, fakes.application(fakes.speaker(), fakes.listener(), vocoder))
    assert response.headers["content-type"] == "audio/mpeg"
    assert len(vocoder.asked) == 1


@pytest.mark.parametrize(
    ("fields", "content", "param"),
    [
        ({"model": "hibari"}, b"RIFF", "model"),
        ({"sample_rate": "7999"}, b"RIFF", "sample_rate"),
        ({"response_format": "srt"}, b"RIFF", "response_format"),
        ({}, b"", "file"),
    ],
)
def test_what_cannot_be_is_refused(ask, fakes, vocoder, fields, content, param):
    response = send(ask, fakes.application(fakes.speaker(), vocoder), fields, content)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert not vocoder.asked


def test_where_no_vocoder_is_served_it_says_so(ask, fakes):
    response = send(ask, fakes.application())
    assert response.status_code == 404
    assert "No vocoding model is served here" in response.json()["error"]["message"]


def test_an_error_of_the_model_is_told(ask, fakes):
    wrong = AudioError("The .npy file is no mel spectrogram", param="file")
    broken = fakes.speaker(name="v", task=Task.VOCODING, script=[fakes.Step(error=wrong)])
    response = send(ask, fakes.application(broken))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "file")


def test_it_is_counted_as_speech_is(ask, fakes, vocoder):
    vocoder.script = [fakes.Step(Encoded(b"sound", 1.5))]
    app = fakes.application(vocoder)
    send(ask, app)
    assert 'tts_audio_seconds_total{model="hifigan"} 1.5' in ask(app, "GET", "/metrics").text
