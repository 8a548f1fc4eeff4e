"""POST /v1/audio/translations, without a network."""

import io

import openai
import pytest

from sonorant.errors import UnsupportedError
from sonorant.tasks import Segment, TranscriptEnd

PATH = "/v1/audio/translations"


def send(ask, app, data=None, audio=b"RIFF....", **request):
    return ask(app, "POST", PATH, files={"file": ("talk.wav", audio)}, data=data or {}, **request)


@pytest.fixture
def translator(fakes):
    script = [fakes.Step(Segment(0.5, 2.25, "Good morning.", "en", (1, 2), -0.25, 0.0625))]
    script += [fakes.Step(TranscriptEnd(5.5))]
    return fakes.listener(name="many", languages=("en", "zh"), translation=True, script=script)


def test_it_asks_for_a_translation(ask, fakes, translator):
    app = fakes.application(fakes.listener(), translator)
    fields = {"model": "whisper-1", "prompt": "Zürich", "temperature": "0.5"}
    assert send(ask, app, fields).json()["text"] == "Good morning."
    request, upload, content = translator.asked[0]
    assert (request.model, request.translate, request.language) == ("many", True, "")
    assert (request.prompt, request.temperature, request.itn) == ("Zürich", 0.5, False)
    assert (upload.name, content) == ("talk.wav", b"RIFF....")
    send(ask, app, {"language": "zh", "itn": "true"})
    assert (translator.asked[1][0].language, translator.asked[1][0].itn) == ("zh", True)


def test_the_shapes_of_transcripts(ask, fakes, translator):
    app = fakes.application(translator)
    assert send(ask, app, {"response_format": "text"}).text == "Good morning.\n"
    assert send(ask, app, {"response_format": "srt"}).text.startswith("1\n00:00:00,500 --> 00:00:02,250\n")
    assert send(ask, app, {"response_format": "vtt"}).text.startswith("WEBVTT\n\n")
    verbose = send(ask, app, {"response_format": "verbose_json", "language": "zh"}).json()
    assert (verbose["task"], verbose["language"], verbose["duration"]) == ("translate", "english", 5.5)
    assert verbose["segments"][0]["text"] == "Good morning."


def test_silence_is_english_too(ask, fakes):
    silent = fakes.listener(translation=True, script=[fakes.Step(TranscriptEnd(3.0))])
    fields = {"response_format": "verbose_json", "language": "zh"}
    assert send(ask, fakes.application(silent), fields).json()["language"] == "english"


def test_a_model_that_cannot_says_so(ask, fakes):
    cannot = UnsupportedError("moonshine cannot translate", param="model")
    app = fakes.application(fakes.listener(script=[fakes.Step(error=cannot)]))
    response = send(ask, app)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "model"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "2"}, "temperature"),
        ({"model": "gpt-9"}, "model"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(ask, fakes, translator, fields, param):
    response = send(ask, fakes.application(translator), fields)
    assert response.status_code in (400, 404)
    assert response.json()["error"]["param"] == param


def test_a_recording_may_be_as_large_as_for_transcription(ask, fakes, translator):
    app = fakes.application(translator, limits={"upload_bytes": 2 * 2**20, "text_characters": 10})
    assert send(ask, app, audio=b"x" * 2 * 2**20).status_code == 200
    assert send(ask, app, audio=b"x" * (2 * 2**20 + 1)).status_code == 413


@pytest.mark.filterwarnings("ignore:deprecated")  # whisper-1, says the SDK; the endpoint knows no other
def test_openais_sdk_translates(fakes, serve, translator):
    with (
        serve(fakes.application(translator)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client,
    ):
        file = ("talk.wav", io.BytesIO(b"RIFF...."))
        assert client.audio.translations.create(model="whisper-1", file=file).text == "Good morning."
        verbose = client.audio.translations.create(
            model="whisper-1", file=("talk.wav", b"RIFF"), response_format="verbose_json"
        )
        assert verbose.language == "english"
        assert verbose.segments[0].start == 0.5
