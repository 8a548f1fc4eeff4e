"""Speech through OpenAI's own client: what comes back is audio of the format, and says the text."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.system

FORMATS = {
    "wav": ("audio/wav", "pcm_s16le"),
    "mp3": ("audio/mpeg", "mp3"),
    "opus": ("audio/ogg", "opus"),
    "aac": ("audio/aac", "aac"),
    "flac": ("audio/flac", "flac"),
    "pcm": ("audio/pcm", "pcm_s16le"),
}
"""format → content type, codec as FFmpeg names it (its mp3 decoder is called mp3float)"""


@pytest.fixture
def recognised(client, decoded):
    """recognised(bytes, format) → what our own endpoint hears in them, once PyAV has read them."""

    def hear(data: bytes, format: str) -> str:
        if format == "pcm":
            file = io.BytesIO()
            soundfile.write(file, np.frombuffer(data, "<i2"), 24_000, format="WAV")
            data = file.getvalue()
        codec, samples, _ = decoded(data)
        assert codec.removesuffix("float") == FORMATS[format][1]
        assert 0.05 < np.abs(samples).max() <= 1
        return client.audio.transcriptions.create(model="whisper-1", file=(f"x.{format}", data)).text

    return hear


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_whole(client, text, recognised, assert_says, format):
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format=format)
    assert spoken.response.headers["content-type"] == FORMATS[format][0]
    assert_says(recognised(spoken.content, format), text)


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_streamed(client, text, recognised, assert_says, format):
    streaming = client.audio.speech.with_streaming_response
    with streaming.create(model="tts-1", voice="nova", input=text, response_format=format) as response:
        assert response.headers["x-accel-buffering"] == "no"
        assert "content-length" not in response.headers
        pieces = list(response.iter_bytes())
    assert len(pieces) > 1, "it came in one piece: nothing was streamed"
    assert_says(recognised(b"".join(pieces), format), text)


def test_mp3_is_the_default(client, decoded):
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    assert decoded(spoken.content)[0] == "mp3float"


@pytest.mark.parametrize(
    ("format", "name"),
    [("mulaw", "x.ulaw"), ("alaw", "x.alaw"), ("wav-mulaw", "x.wav"), ("wav-alaw", "x.wav")],
)
def test_over_the_telephone(client, text, assert_says, format, name):
    """G.711, levelled and trimmed, and back through the endpoint that listens."""
    spoken = client.audio.speech.create(
        model="tts-1", voice="alloy", input=text, response_format=format,
        extra_body={"loudness": -20, "trim_silence": True},
    )  # fmt: skip
    kind = "audio/wav" if name == "x.wav" else f"audio/PCM{'U' if name == 'x.ulaw' else 'A'};rate=8000"
    assert spoken.response.headers["content-type"] == kind
    heard = client.audio.transcriptions.create(model="whisper-1", file=(name, spoken.content))
    assert_says(heard.text, text)


def test_subtitles_name_every_word(client, text):
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format="srt")
    cues = [cue.split("\n") for cue in spoken.text.strip().split("\n\n")]
    assert " ".join(line for cue in cues for line in cue[2:]) == text


def test_another_rate(client, decoded):
    spoken = client.audio.speech.create(
        model="tts-1", voice="alloy", input="Hello.", response_format="wav", extra_body={"sample_rate": 8000}
    )
    assert decoded(spoken.content)[2] == 8000


def test_speed(client):
    def seconds(speed: float) -> float:
        spoken = client.audio.speech.create(
            model="tts-1", voice="alloy", input="One, two, three, four.", response_format="pcm", speed=speed
        )
        return len(spoken.content) / 48_000

    assert seconds(0.5) > 1.5 * seconds(1) > 1.5 * 1.2 * seconds(2)


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_events(client, text, recognised, assert_says, format):
    streaming = client.audio.speech.with_streaming_response
    with streaming.create(
        model="tts-1", voice="alloy", input=text, response_format=format, stream_format="sse"
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [event["type"] for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1)
    assert len(events) > 2
    assert events[-1]["type"] == "speech.audio.done"
    assert set(events[-1]["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert_says(recognised(audio, format), text)


def test_the_async_client_several_at_once(server, text, assert_says):
    async def there_and_back(sdk, format: str) -> str:
        streaming = sdk.audio.speech.with_streaming_response
        async with streaming.create(
            model="tts-1", voice="echo", input=text, response_format=format
        ) as response:
            data = b"".join([piece async for piece in response.iter_bytes()])
        file = (f"x.{format}", data)
        stream = await sdk.audio.transcriptions.create(model="whisper-1", file=file, stream=True)
        return [event async for event in stream][-1].text

    async def main() -> list[str]:
        async with server.async_sdk() as sdk:
            whole = await sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
            assert len(await whole.aread()) > 1000
            return await asyncio.gather(*(there_and_back(sdk, f) for f in ("wav", "mp3", "opus", "flac")))

    for heard in asyncio.run(main()):
        assert_says(heard, text)
