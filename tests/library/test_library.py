"""The library as its users call it."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
import soundfile

import sonorant
from listening import real_speech, word_errors
from sonorant import AudioChunk, library
from sonorant.audio.loudness import Meter
from sonorant.audio.resample import Resampler
from sonorant.errors import (
    AudioError,
    LayoutError,
    MissingExtraError,
    RequestError,
    SettingsError,
    TextError,
    UnknownModelError,
    UnknownVoiceError,
    UnsupportedError,
)
from sonorant.library import default_model
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.tasks import Task

TEXT = "The quick brown fox jumps over the lazy dog. Then it sleeps."


@pytest.fixture(scope="module")
def hibari():
    model = sonorant.load("hibari")
    yield model
    model.close()


@pytest.fixture(scope="module")
def moonshine():
    model = sonorant.load("moonshine-tiny")
    yield model
    model.close()


@pytest.fixture
def kept():
    """Ends the models that `say` and `transcribe` keep."""
    yield library._models
    while library._models:
        library._models.popitem()[1].close()


def understood(heard: str, said: str) -> bool:
    errors, words = word_errors(said, heard)
    return errors <= 0.1 * words


def test_both_forms_of_speech_agree(hibari):
    async def main():
        chunks = [chunk async for chunk in hibari.say(TEXT, seed=3)]
        return chunks, await hibari.say(TEXT, seed=3)

    chunks, whole = asyncio.run(main())
    assert len(chunks) == 2
    assert whole.sample_rate == chunks[0].sample_rate == 24_000
    joined = np.concatenate([chunk.samples for chunk in chunks])
    assert np.array_equal(whole.samples, joined)
    assert np.array_equal(hibari.say(TEXT, seed=3).result().samples, joined)
    assert np.array_equal(np.concatenate([c.samples for c in hibari.say(TEXT, seed=3)]), joined)
    assert whole.seconds == pytest.approx(sum(chunk.seconds for chunk in chunks))


def test_the_result_is_what_has_not_been_taken_yet(hibari):
    speech = hibari.say(TEXT)
    next(speech)
    assert 0 < speech.result().seconds < 4
    assert (speech.result().seconds, speech.result().sample_rate) == (0, 24_000)


def test_text_may_come_in_pieces(hibari):
    whole = hibari.say(TEXT, seed=3).result().samples

    async def later():
        for letter in TEXT:
            await asyncio.sleep(0)
            yield letter

    async def main():
        return await hibari.say(later(), seed=3)

    for pieces in (iter(TEXT), TEXT.split(" ") and [word + " " for word in TEXT.split(" ")]):
        assert np.array_equal(hibari.say(pieces, seed=3).result().samples, whole)
    assert np.array_equal(asyncio.run(main()).samples, whole)


def test_the_first_sentence_is_spoken_before_the_text_is_over(hibari):
    """The rest of the text is written only after the first audio has been taken."""
    go_on = threading.Event()

    def text():
        yield "This is the first sentence. And"
        assert go_on.wait(30)
        yield " this is the second."

    speech = hibari.say(text())
    assert next(speech).seconds > 0.5
    go_on.set()
    assert next(speech).seconds > 0.5
    assert list(speech) == []


def test_closing_stops_the_computation(hibari, monkeypatch):
    runs = []
    real = OnnxRuntime.prepare
    monkeypatch.setattr(
        OnnxRuntime, "prepare", lambda self, *a, **k: (runs.append(1), real(self, *a, **k))[1]
    )
    with hibari.say("One sentence after the other. " * 200) as speech:
        next(speech)
    done = len(runs)
    threading.Event().wait(0.3)
    assert len(runs) == done <= 2
    assert list(speech) == []


@pytest.mark.parametrize("format", ["wav", "mp3", "opus", "aac", "flac"])
def test_saved_files_can_be_played(hibari, tmp_path, format):
    seconds = hibari.say(TEXT, seed=1).result().seconds
    path = hibari.say(TEXT, seed=1).save(tmp_path / f"hello.{format}")
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        played = sum(frame.samples for frame in container.decode(stream)) / stream.rate
    assert played == pytest.approx(seconds, abs=0.15)


def test_saved_audio_has_the_rate_that_was_asked_for(hibari, tmp_path):
    said = hibari.say(TEXT, seed=1).result()
    path = hibari.say(TEXT, seed=1).save(tmp_path / "a.wav", sample_rate=16_000)
    samples, rate = soundfile.read(path)
    assert (rate, len(samples)) == (16_000, round(len(said.samples) * 2 / 3))
    raw = hibari.say(TEXT, seed=1).save(tmp_path / "a.pcm")
    assert raw.stat().st_size == 2 * len(said.samples)


def test_a_format_that_no_ending_names_can_be_named(hibari, tmp_path):
    path = hibari.say(TEXT, seed=1).save(tmp_path / "a.wav", format="wav-mulaw")
    bare = hibari.say(TEXT, seed=1).save(tmp_path / "a.ulaw")
    made = soundfile.info(path)
    assert (made.subtype, made.samplerate, made.frames) == ("ULAW", 8000, bare.stat().st_size)
    assert path.read_bytes()[58:][: made.frames] == bare.read_bytes()
    with pytest.raises(RequestError, match="'ulaw' is not known.*wav-mulaw"):
        hibari.say(TEXT).save(tmp_path / "b.wav", format="ulaw")
    with pytest.raises(RequestError, match="End it in one of wav, mp3"):
        hibari.say(TEXT).save(tmp_path / "b.wav-mulaw")


def test_audio_comes_at_the_rate_and_loudness_that_was_asked_for(hibari):
    plain, wished = hibari.say(TEXT, seed=1).result(), hibari.say(
        TEXT, seed=1, sample_rate=8_000, loudness=-20, trim_silence=True
    )  # fmt: skip
    spoken = wished.result()
    assert (wished.sample_rate, spoken.sample_rate) == (8_000, 8_000)
    meter = Meter(8_000)
    meter.add(spoken.samples)
    assert meter.integrated() == pytest.approx(-20, abs=1)
    assert 0.4 < plain.seconds - spoken.seconds < 1.2, "a lead of 0.05 s and a pause of 0.6 s"
    assert [w.text for w in spoken.words] == [w.text for w in plain.words]
    lead = plain.words[0].start - spoken.words[0].start
    for before, after in zip(plain.words, spoken.words, strict=True):
        assert before.start - after.start == pytest.approx(lead, abs=0.02)
    with pytest.raises(RequestError, match="-31 to -9"):
        hibari.say(TEXT, loudness=0).result()
    with pytest.raises(UnsupportedError, match="8,000 to 48,000"):
        hibari.say(TEXT, sample_rate=4_000).result()


def test_subtitles_are_saved_beside_the_audio(hibari, tmp_path):
    hibari.say("Hello there. How are you?").save(tmp_path / "a.mp3", subtitles=tmp_path / "a.srt")
    assert (tmp_path / "a.mp3").stat().st_size > 1000
    lines = (tmp_path / "a.srt").read_text().splitlines()
    assert (lines[2], lines[6]) == ("Hello there.", "How are you?")
    with pytest.raises(RequestError, match=r"\.srt or \.vtt"):
        hibari.say(TEXT).save(tmp_path / "b.wav", subtitles=tmp_path / "b.ass")
    with pytest.raises(UnsupportedError, match="24,000, 48,000"):
        hibari.say(TEXT).save(tmp_path / "b.opus", sample_rate=44_100)
    assert not list(tmp_path.glob("b.*"))


def test_a_file_that_cannot_be_made_is_not_begun(hibari, tmp_path):
    with pytest.raises(RequestError, match="End it in one of wav, mp3"):
        hibari.say(TEXT).save(tmp_path / "hello.doc")
    with pytest.raises(TextError):
        hibari.say("...").save(tmp_path / "hello.wav")
    assert list(tmp_path.iterdir()) == []


def test_audio_may_be_a_path_or_bytes_or_samples(moonshine):
    recording = real_speech()[0]
    samples, rate = soundfile.read(recording.path, dtype="float32")
    whole = moonshine.transcribe(recording.path).result()
    assert understood(whole.text, recording.transcript)
    assert whole.duration == pytest.approx(len(samples) / rate, abs=0.01)
    assert moonshine.transcribe(str(recording.path)).text == whole.text
    assert moonshine.transcribe(recording.path.read_bytes()).text == whole.text
    for other in (8_000, 44_100):
        resampler = Resampler(rate, other)
        chunk = AudioChunk(np.concatenate([resampler.process(samples), resampler.flush()]), other)
        heard = moonshine.transcribe(chunk).result()
        errors, words = word_errors(recording.transcript, heard.text)
        assert errors <= 0.3 * words, "of twelve words the other waveform may change one or two"
        assert heard.duration == pytest.approx(whole.duration, abs=0.01)


def test_both_forms_of_transcripts_agree(moonshine):
    path = real_speech()[0].path

    async def main():
        stream = moonshine.transcribe(path)
        return [segment async for segment in stream], stream.duration, await moonshine.transcribe(path)

    segments, duration, whole = asyncio.run(main())
    again = moonshine.transcribe(path)
    assert list(again) == segments == list(whole.segments)
    assert again.text == again.text == whole.text, "whoever asks first or last"
    assert duration == whole.duration
    assert " ".join(segment.text for segment in segments) == whole.text


def test_what_was_said_is_heard(hibari, moonshine):
    said = "The weather will be sunny in the morning, with clouds and a light breeze later in the day."
    assert understood(moonshine.transcribe(hibari.say(said, seed=1).result()).text, said)


def test_clipped_audio_is_heard(moonshine):
    """Samples at full scale overshoot when they are resampled."""
    samples, rate = soundfile.read(real_speech()[0].path, dtype="float32")
    loud = np.clip(samples * 20, -1, 1)
    assert moonshine.transcribe(AudioChunk(loud[: 4 * rate], 22_050)).result().duration > 2


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (AudioChunk(np.zeros((10, 2), np.float32), 16_000), r"shape \(10, 2\).*one channel"),
        (AudioChunk(np.zeros(0, np.float32), 16_000), r"shape \(0,\)"),
        (AudioChunk(np.full(16_000, 12_345, np.int16), 16_000), "Divide 16 bit samples"),
        (AudioChunk(np.full(16_000, np.nan, np.float32), 16_000), "nan"),
        (AudioChunk(np.zeros(16_000, np.float32), 0), "sample rate of 0 Hz"),
        (b"", "empty"),
        (b"no audio" * 50, "file|audio"),
    ],
)
def test_what_is_no_audio_is_refused(moonshine, audio, message):
    with pytest.raises(AudioError, match=message):
        moonshine.transcribe(audio).result()


def test_what_cannot_be_done_is_refused(hibari, moonshine, tmp_path):
    with pytest.raises(TextError, match="empty"):
        hibari.say("  ")
    with pytest.raises(UnknownVoiceError, match="heart"):
        hibari.say("Hi.", voice="zoe").result()
    with pytest.raises(RequestError, match="seed"):
        hibari.say("Hi.", seed=-1).result()
    with pytest.raises(UnsupportedError, match="hibari does text-to-speech"):
        hibari.transcribe(real_speech()[0].path).result()
    with pytest.raises(UnsupportedError, match="moonshine-tiny does speech-to-text"):
        moonshine.say("Hi.").result()
    with pytest.raises(UnsupportedError, match='sonorant.load\\("wetext"\\)'):
        hibari.normalize("5", "en")
    with pytest.raises(AudioError, match="There is no file"):
        moonshine.transcribe(tmp_path / "absent.wav")
    with pytest.raises(UnknownModelError, match="Did you mean hibari"):
        sonorant.load("hibary")
    with pytest.raises(LayoutError):
        sonorant.load(str(tmp_path))
    with pytest.raises(SettingsError, match="intra_op_num_threads"):
        sonorant.load("hibari", onnxruntime={"intra_op_threads": 1})
    assert hibari.say("And then it works.").result().seconds > 0.5


def test_one_model_serves_several_threads(hibari):
    texts = [f"This is thread number {n}." for n in range(6)]
    alone = [hibari.say(text, seed=2).result().samples for text in texts]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda text: hibari.say(text, seed=2).result().samples, texts))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_models_are_loaded_once_and_kept(kept, monkeypatch):
    loads = []
    real = library.load
    monkeypatch.setattr(library, "load", lambda name: (loads.append(name), real(name))[1])
    with ThreadPoolExecutor(4) as threads:
        spoken = list(threads.map(lambda n: sonorant.say(f"Number {n}.").result().seconds, range(4)))
    assert all(seconds > 0.3 for seconds in spoken)
    heard = sonorant.transcribe(real_speech()[0].path, language="en").text
    assert understood(heard, real_speech()[0].transcript)
    assert loads == ["hibari", "moonshine-tiny"]
    assert sonorant.say("Again.", voice="heart", speed=2).result().seconds > 0.2
    assert loads == ["hibari", "moonshine-tiny"]


@pytest.mark.parametrize(
    ("task", "languages", "meant"),
    [
        (Task.SPEECH, {""}, "hibari"),
        (Task.SPEECH, {"", "zh"}, "kokoro"),
        (Task.SPEECH, {"fr"}, "kokoro"),
        (Task.TRANSCRIPTION, {""}, "whisper-base"),
        (Task.TRANSCRIPTION, {"en"}, "moonshine-tiny"),
        (Task.TRANSCRIPTION, {"zh-TW"}, "whisper-base"),
    ],
)
def test_the_default_model_fits_the_language(task, languages, meant):
    assert default_model(task, frozenset(languages)) == meant


def test_without_faster_whisper_english_is_heard_and_chinese_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    default_model.cache_clear()
    assert default_model(Task.TRANSCRIPTION) == "moonshine-tiny"
    with pytest.raises(MissingExtraError, match=r'pip install "sonorant\[whisper\]"'):
        sonorant.transcribe(real_speech()[0].path, language="zh")
    default_model.cache_clear()


def test_normalisation(kept):
    model = sonorant.load("wetext")
    assert model.normalize("It costs $25.", "en") == "It costs twenty five dollars."
    assert model.normalize("twenty five dollars", "en", inverse=True) == "$25"
    model.close()


def test_itn_writes_digits(hibari, moonshine):
    audio = hibari.say("We met two hundred and three people.", seed=1).result()
    assert "203" in moonshine.transcribe(audio, itn=True).text


def test_the_package_names_everything_it_promises():
    for name in sonorant.__all__:
        assert getattr(sonorant, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'speak'"):
        _ = sonorant.speak
