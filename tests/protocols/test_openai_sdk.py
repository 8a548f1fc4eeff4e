"""The official `openai` client against a real server, plain and async."""

import asyncio

import openai
import pytest

from sonorant.errors import AudioError
from sonorant.tasks import Encoded, Segment, State, TranscriptEnd, Word

TEXT = "Hello there. Second & last."


@pytest.fixture
def client(fakes, serve):
    with serve(fakes.application()) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        yield client


def file(size=100):
    return ("talk.wav", b"R" * size)


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_speech_in_each_format(client, name, tmp_path):
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="Hi", response_format=name)
    assert spoken.content == b"head-body"
    streaming = client.audio.speech.with_streaming_response
    with streaming.create(model="hibari", voice="amy", input="Hi", response_format=name) as response:
        response.stream_to_file(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"head-body"


def test_speech_with_a_voice_object_and_extensions(client):
    ours = {"sample_rate": 16000, "seed": 3}
    spoken = client.audio.speech.create(
        model="tts-1", voice={"id": "cat"}, input="Hi", speed=1.5, extra_body=ours
    )
    assert spoken.content == b"head-body"


def test_speech_as_events(client):
    streaming = client.audio.speech.with_streaming_response
    with streaming.create(model="tts-1", voice="nova", input="Hi", stream_format="sse") as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[0] == 'data: {"type": "speech.audio.delta", "audio": "aGVhZA=="}'
    assert lines[-1].startswith('data: {"type": "speech.audio.done"')


def test_transcription_in_each_format(client):
    create = client.audio.transcriptions.create
    plain = create(model="whisper-1", file=file())
    assert plain.text == TEXT
    assert (plain.usage.type, plain.usage.seconds) == ("duration", 5.5)
    assert create(model="whisper-1", file=file(), response_format="text") == TEXT + "\n"
    assert create(model="whisper-1", file=file(), response_format="srt").startswith("1\n00:00:00,500 -->")
    assert create(model="whisper-1", file=file(), response_format="vtt").startswith("WEBVTT\n\n")
    verbose = create(
        model="whisper-1", file=file(2**21), response_format="verbose_json", language="en", prompt="x",
        temperature=0.2, timestamp_granularities=["segment"], chunking_strategy={"type": "server_vad"},
    )  # fmt: skip
    assert (verbose.language, verbose.duration, len(verbose.segments)) == ("english", 5.5, 2)
    assert (verbose.segments[0].avg_logprob, verbose.segments[0].temperature) == (-0.25, 0.2)


def test_words(fakes, serve):
    segment = Segment(0, 1, "Hi", "en", words=(Word("Hi", 0.1, 0.4),))
    replica = fakes.listener(word_times=True, script=[fakes.Step(segment), fakes.Step(TranscriptEnd(1.0))])
    with serve(fakes.application(replica)) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        answer = client.audio.transcriptions.create(
            model="whisper-1", file=file(), response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )  # fmt: skip
    assert [(word.word, word.start, word.end) for word in answer.words] == [("Hi", 0.1, 0.4)]
    assert len(answer.segments) == 1


def test_languages_and_keywords(fakes, serve):
    replica = fakes.listener()
    with serve(fakes.application(replica)) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        create = client.audio.transcriptions.create
        create(model="gpt-transcribe", file=file(), languages=["fr"], keywords=["Zoë", "K2"], prompt="Peaks.")
        create(model="gpt-transcribe", file=file(), languages=["fr", "en"])
    (one, _, _), (two, _, _) = replica.asked
    assert (one.language, one.prompt) == ("fr", "Peaks., Zoë, K2")
    assert (two.language, two.prompt) == ("", "")


def test_transcription_as_a_stream(client):
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file(), stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == TEXT


def test_a_stream_that_breaks_raises(fakes, serve):
    script = [fakes.Step(Segment(0, 1, "a")), fakes.Step(error=AudioError("The recording is damaged"))]
    app = fakes.application(fakes.listener(script=script))
    with serve(app) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        stream = client.audio.transcriptions.create(model="whisper-1", file=file(), stream=True)
        with pytest.raises(openai.APIError, match="recording is damaged"):
            list(stream)


def test_audio_that_breaks_raises(fakes, serve):
    script = [fakes.Step(Encoded(b"a", 0.1)), fakes.Step(error=RuntimeError("x"))]
    app = fakes.application(fakes.speaker(script=script))
    with (
        serve(app) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hi")


def test_models(client):
    assert [model.id for model in client.models.list()] == ["hibari", "moonshine"]
    assert client.models.retrieve("tts-1").id == "hibari"


def test_error_classes_and_messages(client):
    speak = client.audio.speech.create
    with pytest.raises(openai.BadRequestError) as bad:
        speak(model="tts-1", voice="zoe", input="Hi")
    assert (bad.value.param, bad.value.code) == ("voice", "voice_not_found")
    assert "amy, bob, cat" in bad.value.message
    assert bad.value.request_id
    with pytest.raises(openai.NotFoundError, match="hibari, moonshine") as missing:
        speak(model="gpt-9", voice="alloy", input="Hi")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="instructions"):
        speak(model="tts-1", voice="alloy", input="Hi", instructions="angrily")
    with pytest.raises(openai.BadRequestError, match="verbose_json"):
        client.audio.transcriptions.create(model="whisper-1", file=file(), timestamp_granularities=["word"])
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="x", messages=[])


def test_a_wrong_key_and_a_failed_model(fakes, serve):
    failed = fakes.speaker(name="broken", state=State.FAILED, reason="Its file is damaged.")
    app = fakes.application(failed, server={"api_keys": ("right",)})
    with serve(app) as url:
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong") as client,
            pytest.raises(openai.AuthenticationError) as refused,
        ):
            client.models.list()
        assert refused.value.code == "invalid_api_key"
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="right") as client,
            pytest.raises(openai.InternalServerError, match="Its file is damaged"),
        ):
            client.audio.speech.create(model="broken", voice="alloy", input="Hi")


def test_async(fakes, serve):
    async def main(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client:
            spoken = await client.audio.speech.create(model="tts-1", voice="alloy", input="Hi")
            assert await spoken.aread() == b"head-body"
            streaming = client.audio.speech.with_streaming_response
            async with streaming.create(model="tts-1", voice="alloy", input="Hi") as response:
                assert b"".join([piece async for piece in response.iter_bytes()]) == b"head-body"
            heard = await client.audio.transcriptions.create(model="whisper-1", file=file())
            assert heard.text == TEXT
            stream = await client.audio.transcriptions.create(model="whisper-1", file=file(), stream=True)
            assert [event.type async for event in stream][-1] == "transcript.text.done"
            with pytest.raises(openai.BadRequestError):
                await client.audio.speech.create(model="tts-1", voice="alloy", input="")

    with serve(fakes.application()) as url:
        asyncio.run(main(url))
