"""Whisper: its folders, and what it makes of real recordings in several languages."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from listening import character_errors, mandarin_speech, real_speech, word_errors
from sonorant.audio.resample import Resampler
from sonorant.catalogue import Catalogue
from sonorant.errors import EngineError, MissingExtraError, ModelFileError, UnsupportedError
from sonorant.families import recognise, whisper
from sonorant.families.whisper.loading import open_model, workers_of
from sonorant.families.whisper.pipeline import BATCH
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings
from sonorant.tasks import AudioChunk, Quality, Segment, Task, TranscriptEnd, TranscriptionRequest

pytestmark = pytest.mark.system

RATE = 16_000
WORKERS, _ = workers_of("cpu", 0)


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(load_settings().catalogue)


@pytest.fixture(scope="module")
def card(catalogue):
    return catalogue.find("whisper-base")


@pytest.fixture(scope="module")
def base(catalogue, card) -> Path:
    return catalogue.ensure(card)


@pytest.fixture(scope="module")
def recognizer(catalogue, card, base):
    device = Device("cpu")
    yield whisper.load(card, base, ReplicaHost(card, catalogue, device, {}))
    device.close()


async def chunks(samples: np.ndarray):
    for start in range(0, len(samples), RATE):
        yield AudioChunk(samples[start : start + RATE], RATE)


def heard(recognizer, samples: np.ndarray, **request) -> list:
    async def main():
        asked = TranscriptionRequest(model="whisper-base", **request)
        return [event async for event in recognizer.recognize(asked, chunks(samples))]

    return asyncio.run(main())


def text(segments: list[Segment], joint: str = " ") -> str:
    return joint.join(segment.text for segment in segments)


def recorded(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    resampler = Resampler(rate, RATE)
    return np.clip(np.concatenate([resampler.process(samples), resampler.flush()]), -1, 1)


@pytest.fixture(scope="module")
def beckett() -> np.ndarray:
    return recorded(real_speech()[0].path)


@pytest.fixture(scope="module")
def lesson() -> np.ndarray:
    return recorded(mandarin_speech()[1].path)


def assert_ordered(events: list, seconds: float) -> None:
    *segments, end = events
    assert end == TranscriptEnd(seconds)
    last = 0.0
    for segment in segments:
        assert last <= segment.start <= segment.end <= seconds
        assert segment.text == segment.text.strip() != ""
        assert segment.tokens
        assert segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob <= 1
        last = segment.end


def test_english_is_detected_and_each_word_timed(recognizer):
    recording = real_speech()[1]
    samples = recorded(recording.path)
    *segments, _ = events = heard(recognizer, samples, words=True)
    assert_ordered(events, len(samples) / RATE)
    errors, words = word_errors(recording.transcript, text(segments))
    assert errors <= 0.05 * words
    assert {segment.language for segment in segments} == {"en"}
    timed = [word for segment in segments for word in segment.words]
    assert [word.text for word in timed] == text(segments).split()
    assert all(a.start <= a.end <= b.start + 0.02 for a, b in zip(timed, timed[1:], strict=False))
    for segment in segments:
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)
    voiced = np.abs(samples) > 0.02
    for word in timed:
        if word.end - word.start > 0.1:
            assert voiced[int(word.start * RATE) : int(word.end * RATE)].any(), f"silence at {word}"


def test_mandarin_is_detected_and_written_in_simplified_script_with_punctuation(recognizer, lesson):
    *segments, _ = events = heard(recognizer, lesson)
    assert_ordered(events, len(lesson) / RATE)
    assert {segment.language for segment in segments} == {"zh"}
    errors, characters = character_errors(mandarin_speech()[1].transcript, text(segments, ""))
    assert errors <= 0.15 * characters
    assert text(segments, "").count("，") > 5
    assert max(segment.end - segment.start for segment in segments) < 10, "subtitles need short pieces"


def test_traditional_script_on_request(recognizer, lesson):
    simplified = text(heard(recognizer, lesson[: 10 * RATE], language="zh-CN")[:-1], "")
    traditional = text(heard(recognizer, lesson[: 10 * RATE], language="zh-Hant")[:-1], "")
    assert "过程很简单" in simplified.replace("，", "")
    assert "過程很簡單" in traditional.replace("，", "")


def test_a_prompt_tells_which_words_to_expect(recognizer, lesson):
    assert "畅学卡" not in text(heard(recognizer, lesson[: 8 * RATE], language="zh")[:-1])
    assert "畅学卡" in text(heard(recognizer, lesson[: 8 * RATE], language="zh", prompt="报名畅学卡。")[:-1])


def test_translation_is_english(recognizer, lesson):
    *segments, _ = heard(recognizer, lesson[57 * RATE : 64 * RATE], translate=True)
    assert {segment.language for segment in segments} == {"en"}
    assert text(segments).isascii()
    assert "thank" in text(segments).lower()


def test_another_language_after_a_pause_is_heard_as_such(recognizer, beckett, lesson):
    pause = np.zeros(3 * RATE, np.float32)
    *segments, _ = heard(recognizer, np.concatenate([beckett, pause, lesson[: 9 * RATE], pause, beckett]))
    languages = [segment.language for segment in segments]
    assert [language for i, language in enumerate(languages) if languages[i - 1 : i] != [language]] == [
        "en",
        "zh",
        "en",
    ]


def test_the_times_are_those_of_the_recording(recognizer, beckett):
    alone = heard(recognizer, beckett, language="en", words=True)[0].words
    silence = np.zeros(100 * RATE, np.float32)
    later = heard(recognizer, np.concatenate([silence, beckett, silence]), language="en", words=True)[0].words
    assert [word.text for word in later] == [word.text for word in alone]
    assert [word.start - 100 for word in later] == pytest.approx([word.start for word in alone], abs=0.1)


def test_several_windows_at_once_are_heard_as_one_by_one(recognizer):
    """Four windows, heard by two workers alone or together, as they become free."""
    recording = real_speech()[1]
    twice = np.concatenate([recorded(recording.path)] * 2)
    *segments, _ = events = heard(recognizer, twice, language="en")
    assert_ordered(events, len(twice) / RATE)
    errors, words = word_errors(f"{recording.transcript} {recording.transcript}", text(segments))
    assert errors <= 0.05 * words


def test_who_repeats_himself_does_not_make_a_loop(recognizer, beckett):
    """Such speech is what the network goes on repeating, up to its longest text, when it is left alone."""
    thrice = np.concatenate([beckett] * 3)[: 28 * RATE]
    said = text(heard(recognizer, thrice, language="en")[:-1]).lower()
    assert 2 <= said.count("tried") <= 4
    assert said.count("failed") <= 5


def test_recordings_without_an_end_are_read_as_they_are_heard(recognizer, beckett):
    read = 0

    async def endless():
        nonlocal read
        while True:
            for start in range(0, len(beckett), RATE):
                read += 1
                yield AudioChunk(beckett[start : start + RATE], RATE)

    async def main():
        events = recognizer.recognize(TranscriptionRequest(model="x", language="en"), endless())
        segment = await anext(events)
        await events.aclose()
        return segment

    assert "tried" in asyncio.run(main()).text
    begun, waiting = 2 * BATCH * WORKERS, BATCH * WORKERS
    assert read <= (begun + waiting + 2) * 30, "the windows' seconds, and those of one held and one gathered"


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(5 * RATE, np.float32),
        np.random.default_rng(0).normal(0, 0.05, 20 * RATE).astype(np.float32),
        (0.3 * np.sin(np.arange(10 * RATE) * 0.1)).astype(np.float32),
    ],
    ids=["nothing", "silence", "noise", "tone"],
)
def test_what_is_not_speech_is_no_text(recognizer, samples):
    assert heard(recognizer, samples) == [TranscriptEnd(len(samples) / RATE)]


def test_a_cancelled_request_leaves_the_model_to_the_next(recognizer, beckett):
    many = np.concatenate([beckett] * 12)

    async def main():
        asked = TranscriptionRequest(model="x", language="en")
        task = asyncio.create_task(collect(recognizer.recognize(asked, chunks(many))))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await collect(recognizer.recognize(asked, chunks(beckett)))

    async def collect(events):
        return [event async for event in events]

    assert "Fail better" in asyncio.run(main())[-2].text


def test_spoken_numbers_become_digits_and_their_words_one(catalogue):
    """The wiring alone: the network writes most numbers as digits by itself."""
    from sonorant.families.whisper.engine import Encoded, Heard
    from sonorant.families.whisper.phrases import Piece
    from sonorant.families.whisper.pipeline import Whisper

    class Scripted:
        workers, multilingual = 1, True

        def encode(self, windows, manner):
            return Encoded(None, None, [len(samples) for samples in windows], [("en", 1.0)] * len(windows))

        def hear(self, encoded, languages, manner, stopped):
            words = [" I", " have", " twenty", " five", " apples."]
            pieces = (Piece(word, (i,), i / 10, (i + 1) / 10) for i, word in enumerate(words))
            return [Heard("en", -0.1, tuple(pieces))]

    card = catalogue.find("whisper-base")
    device = Device("cpu")
    host = ReplicaHost(card, catalogue, device, {})
    pipeline = Whisper(card, Scripted(), host.part("vad"), host.part("normalizer"))
    segment, _ = heard(pipeline, recorded(real_speech()[0].path), itn=True, words=True)
    device.close()
    assert segment.text == "I have 25 apples."
    assert [word.text for word in segment.words] == ["I", "have", "25", "apples."]
    assert segment.words[2].end - segment.words[2].start == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"language": "de", "itn": True}, "itn"),
        ({"translate": True, "words": True}, "timestamp_granularities"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_heard(recognizer, request_, param):
    with pytest.raises(UnsupportedError) as error:
        heard(recognizer, np.zeros(RATE, np.float32), **request_)
    assert error.value.param == param


def folder_of(base: Path, folder: Path, **changes: object) -> Path:
    """The folder of a model without its weights, with some of its tokens at another place."""
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("model.bin"), dirs_exist_ok=True)
    (folder / "model.bin").write_bytes(b"")
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for token in tree["added_tokens"]:
        token["id"] = changes.get(token["content"], token["id"])
    (folder / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder


def test_a_folder_tells_its_languages(base, card, tmp_path):
    many = recognise(folder_of(base, tmp_path / "many"))
    assert (many.family, many.task, many.name) == ("whisper", Task.TRANSCRIPTION, "many")
    assert many.languages == card.languages
    assert many.parts == card.parts
    english = recognise(folder_of(base, tmp_path / "base.en", **{"<|endoftext|>": 50256}))
    assert english.languages == ("en",)


def test_other_models_of_ctranslate2_are_not_whisper(base, tmp_path):
    folder = folder_of(base, tmp_path)
    (folder / "tokenizer.json").write_text('{"added_tokens": [{"id": 0, "content": "<s>"}]}')
    assert whisper.recognise(folder) is None
    (folder / "tokenizer.json").unlink()
    assert whisper.recognise(folder) is None


def test_a_folder_that_lacks_a_file_is_named(card, base, tmp_path):
    folder = folder_of(base, tmp_path)
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(ModelFileError, match="lacks vocabulary.txt.*sonorant pull whisper-base"):
        whisper.load(card, folder, None)


def test_damaged_weights_are_named(base, tmp_path):
    folder = folder_of(base, tmp_path / "damaged")
    (folder / "model.bin").write_bytes((base / "model.bin").read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match="cannot load damaged.*sonorant pull"):
        open_model(folder, "cpu", 1)


def test_a_device_that_is_not_there_is_refused(base):
    for device in ("cuda:63", "tpu"):
        with pytest.raises(EngineError, match=f"cannot run on {device}.*CUDA devices.*--device cpu"):
            open_model(base, device, 1)


class Spied:
    """A network that remembers how widely it was told to search."""

    def __init__(self, model) -> None:
        self._model, self.widths = model, []

    def __getattr__(self, name):
        return getattr(self._model, name)

    def generate(self, *args, **options):
        self.widths.append((options["beam_size"], options.get("num_hypotheses")))
        return self._model.generate(*args, **options)


@pytest.mark.parametrize(
    ("quality", "wide"), [(None, 5), (Quality.HIGH, 5), (Quality.BALANCED, 2), (Quality.FAST, 1)]
)
def test_quality_is_how_many_hypotheses_are_followed(recognizer, monkeypatch, quality, wide):
    assert recognizer.describe().tiers
    whole = recognizer._engine._model
    spied = Spied(whole.model)
    monkeypatch.setattr(whole, "model", spied)
    speech = recorded(real_speech()[0].path)[: 6 * RATE]
    said = [heard(recognizer, speech, language="en", quality=quality, temperature=t) for t in (0.0, 0.4)]
    assert all(isinstance(events[0], Segment) for events in said)
    assert spied.widths[0] == (wide, None)
    assert spied.widths[-1] == (1, wide)


def test_without_the_library_it_says_what_to_install(base, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingExtraError, match=r'pip install "sonorant\[whisper\]"'):
        open_model(base, "cpu", 1)


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr("sonorant.families.whisper.loading.cores", lambda: 16)
    assert workers_of("cpu", 0) == (4, 4)
    assert workers_of("cpu", 2) == (8, 2)
    assert workers_of("cpu", 32) == (1, 32)
    assert workers_of("cuda", 2) == (1, 1)
    monkeypatch.setattr("sonorant.families.whisper.loading.cores", lambda: 2)
    assert workers_of("cpu", 0) == (2, 1)
