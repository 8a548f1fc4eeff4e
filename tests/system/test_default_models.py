"""What `sonorant serve` serves where nobody names a model: English and Chinese, spoken and heard."""

import sys

import pytest

pytestmark = pytest.mark.system

ENGLISH = "The meeting begins at nine in the morning."
CHINESE = "今天天气很好，我们去公园散步吧。"


@pytest.fixture(scope="module")
def everything(launch):
    server = launch()
    server.wait_until_settled()
    yield server
    assert server.stop() == 0, server.last_words()


@pytest.fixture(scope="module")
def sdk(everything):
    with everything.sdk() as client:
        yield client


def spoken(sdk, text: str) -> bytes:
    return sdk.audio.speech.create(model="tts-1", voice="nova", input=text, response_format="wav").content


def test_all_of_them_are_ready(everything, sdk):
    models = {model.id: model for model in sdk.models.list()}
    assert list(models) == ["hibari", "kokoro", "moonshine-tiny", "whisper-base"]
    assert {model.state for model in models.values()} == {"ready"}
    assert everything.http.get("/health/ready").json()["status"] == "ok"
    assert {"en", "zh", "de"} <= set(models["whisper-base"].languages)
    assert models["whisper-base"].translation
    assert not models["moonshine-tiny"].translation


def test_each_language_goes_to_a_model_that_knows_it(everything, sdk, assert_says):
    def answered(task: str, model: str) -> float:
        return everything.metric(f"{task}_requests_total", status="ok", model=model)

    def heard(audio: bytes, **language: str) -> str:
        return sdk.audio.transcriptions.create(model="whisper-1", file=("x.wav", audio), **language).text

    english, chinese = spoken(sdk, ENGLISH), spoken(sdk, CHINESE)
    assert (answered("tts", "hibari"), answered("tts", "kokoro")) == (1, 1)
    assert_says(heard(english), ENGLISH)
    assert_says(heard(english, language="en"), ENGLISH)
    assert (answered("asr", "moonshine-tiny"), answered("asr", "whisper-base")) == (1, 1)
    for language in ({}, {"language": "zh"}):
        assert "今天天气很好" in heard(chinese, **language)
    assert answered("asr", "whisper-base") == 3


@pytest.mark.filterwarnings("ignore:deprecated")  # so OpenAI's SDK calls translations
def test_word_times_and_translation_come_from_the_one_that_can(sdk):
    audio = spoken(sdk, CHINESE)
    answer = sdk.audio.transcriptions.create(
        model="whisper-1",
        file=("x.wav", audio),
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert answer.language == "chinese"
    assert all(0 <= word.start <= word.end <= answer.duration for word in answer.words)
    assert "".join(word.word for word in answer.words) == answer.text
    english = sdk.audio.translations.create(model="whisper-1", file=("x.wav", audio)).text
    assert "weather" in english.lower() or "park" in english.lower()


def test_a_model_that_cannot_translate_says_so(everything, sdk, assert_refused):
    body = {"file": ("x.wav", spoken(sdk, ENGLISH))}
    response = everything.http.post("/v1/audio/translations", files=body, data={"model": "moonshine-tiny"})
    assert "whisper-base" in assert_refused(response)["message"]


def test_without_its_library_whisper_is_left_out_with_a_word(launch):
    server = launch(
        command=lambda port: [sys.executable, "-c", WITHOUT, "serve", "--port", str(port)],
    )
    server.wait_until_settled()
    with server.sdk() as sdk:
        assert [model.id for model in sdk.models.list()] == ["hibari", "kokoro", "moonshine-tiny"]
    assert "whisper-base is not served" in server.log()
    assert 'pip install "sonorant[whisper]"' in server.log()
    assert server.stop() == 0


WITHOUT = """
import sys
sys.modules["faster_whisper"] = None
from sonorant.cli import main
main()
"""
