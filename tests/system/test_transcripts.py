"""Transcription through OpenAI's own client: from each kind of file, into each kind of answer."""

import io
import re

import openai
import pytest
import soundfile

from recordings import real_speech

pytestmark = pytest.mark.system

FILES = {
    "mp3": ("mp3", "libmp3lame", 24_000),
    "m4a": ("mp4", "aac", 24_000),
    "aac": ("adts", "aac", 24_000),
    "ogg": ("ogg", "libopus", 24_000),
    "flac": ("flac", "flac", 24_000),
    "webm": ("webm", "libopus", 48_000),
    "wav": ("wav", "pcm_mulaw", 8_000),
    "al.wav": ("wav", "pcm_alaw", 8_000),
}
"""ending → container, codec, hertz"""


@pytest.fixture(scope="module")
def two_cities():
    return real_speech()[1]


@pytest.mark.parametrize("ending", FILES)
def test_from_each_kind_of_file(client, wav, text, decoded, encode, assert_says, ending):
    import soxr

    container, codec, rate = FILES[ending]
    _, samples, spoken_rate = decoded(wav)
    data = encode(soxr.resample(samples, spoken_rate, rate), rate, container, codec)
    heard = client.audio.transcriptions.create(model="whisper-1", file=(f"x.{ending}", data))
    assert_says(heard.text, text)
    assert heard.usage.seconds == pytest.approx(len(samples) / spoken_rate, abs=0.2)


def test_from_the_wav_that_it_speaks(client, wav, text, assert_says):
    assert_says(client.audio.transcriptions.create(model="whisper-1", file=("x.wav", wav)).text, text)


def test_two_channels(client, wav, text, decoded, assert_says):
    import numpy as np

    _, samples, rate = decoded(wav)
    file = io.BytesIO()
    soundfile.write(file, np.stack([samples, samples], axis=1), rate, format="WAV")
    heard = client.audio.transcriptions.create(model="whisper-1", file=("x.wav", file.getvalue()))
    assert_says(heard.text, text)


@pytest.mark.parametrize("recording", real_speech(), ids=lambda recording: recording.path.stem)
def test_what_people_read_aloud(client, recording, assert_says):
    with recording.path.open("rb") as file:
        heard = client.audio.transcriptions.create(model="moonshine-tiny", file=file)
    assert_says(heard.text, recording.transcript)


def test_each_kind_of_answer(client, two_cities, assert_says):
    def ask(shape: str, **more):
        create = client.audio.transcriptions.create
        return create(model="whisper-1", file=two_cities.path, response_format=shape, **more)

    plain = ask("text")
    assert_says(plain, two_cities.transcript)
    assert ask("json").text == plain.strip()

    verbose = ask("verbose_json", timestamp_granularities=["segment"], language="en")
    seconds = soundfile.info(two_cities.path).duration
    assert verbose.language == "english"
    assert verbose.duration == pytest.approx(seconds, abs=0.05)
    assert verbose.text == plain.strip()
    assert len(verbose.segments) > 2
    times = [time for segment in verbose.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= seconds
    assert all(segment.avg_logprob < 0 and 0 <= segment.no_speech_prob < 0.5 for segment in verbose.segments)

    blocks = ask("srt").strip().split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [str(n + 1) for n in range(len(verbose.segments))]
    assert all(
        re.fullmatch(r"\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}", b.splitlines()[1]) for b in blocks
    )
    assert_says(" ".join(line for block in blocks for line in block.splitlines()[2:]), two_cities.transcript)

    assert ask("vtt").startswith("WEBVTT\n\n")


def test_streamed(client, two_cities, assert_says):
    events = list(
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=two_cities.path, stream=True)
    )
    deltas = [event for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 2
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == events[-1].text
    assert_says(events[-1].text, two_cities.transcript)


def test_silence_says_nothing(client):
    import numpy as np

    file = io.BytesIO()
    soundfile.write(file, np.zeros(48_000), 16_000, format="WAV")
    answer = client.audio.transcriptions.create(model="whisper-1", file=("x.wav", file.getvalue()))
    assert (answer.text, answer.usage.seconds) == ("", 3)


def test_forty_milliseconds_are_enough(client):
    import numpy as np

    file = io.BytesIO()
    soundfile.write(file, np.zeros(640), 16_000, format="WAV")
    assert client.audio.transcriptions.create(model="whisper-1", file=("x.wav", file.getvalue())).text == ""


def test_word_times_are_not_invented(client, wav):
    with pytest.raises(openai.BadRequestError, match="does not measure when each word is said") as refused:
        client.audio.transcriptions.create(
            model="whisper-1", file=("x.wav", wav), response_format="verbose_json",
            timestamp_granularities=["word"],
        )  # fmt: skip
    assert refused.value.param == "timestamp_granularities"


@pytest.mark.parametrize("language", ["fr", "xx"])
def test_a_language_that_it_does_not_know(client, wav, language):
    with pytest.raises(openai.BadRequestError, match=f"does not know the language '{language}'") as refused:
        client.audio.transcriptions.create(model="whisper-1", file=("x.wav", wav), language=language)
    assert refused.value.param == "language"
