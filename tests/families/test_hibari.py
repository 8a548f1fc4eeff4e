"""hibari: its signal processing against upstream's own, and its speech."""

import asyncio

import hibari.dsp as upstream
import numpy as np
import pytest

from sonorant.catalogue import Catalogue
from sonorant.errors import ModelFileError
from sonorant.families import recognise
from sonorant.families.hibari import dsp, load
from sonorant.families.hibari.networks import signature
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings
from sonorant.tasks import SpeechRequest, Task
from sonorant.text.segment import once

TEXT = "The quick brown fox jumps over the lazy dog. It was 5 p.m."


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(load_settings().catalogue)


@pytest.fixture(scope="module")
def voice(catalogue):
    device = Device("cpu")
    card = catalogue.find("hibari")
    yield load(card, catalogue.ensure(card), ReplicaHost(card, catalogue, device, {}))
    device.close()


def spoken(voice, *text: str, **request) -> np.ndarray:
    async def stream():
        for piece in text:
            yield piece

    async def main():
        asked = SpeechRequest(model="hibari", voice="heart", **request)
        return [chunk async for chunk in voice.synthesize(asked, stream())]

    chunks = asyncio.run(main())
    assert {chunk.sample_rate for chunk in chunks} <= {24_000}
    return np.concatenate([np.zeros(0, np.float32), *(chunk.samples for chunk in chunks)])


def phonemes(voice, text: str) -> list[np.ndarray]:
    """The network's feeds for a text."""
    found = voice.pieces(text, voice.describe().voices[0])
    return [np.array([[0, *piece.ids, 0]], np.int64) for piece in found]


def snr(reference: np.ndarray, found: np.ndarray) -> float:
    return 10 * np.log10(np.sum(reference**2) / np.sum((reference - found) ** 2))


def test_the_waveform_is_upstreams(voice):
    network = voice._networks["heart"]
    ids = phonemes(voice, "The quick brown fox jumps over the lazy dog.")[0]
    outputs = asyncio.run(network.run(ids=ids, speed=np.ones(1, np.float32)))
    values = {name: outputs[name][0] for name in dsp.OUTPUTS}
    copies = {name: value.copy() for name, value in values.items()}
    found = dsp.waveform(dsp.voiced(copies), dsp.unvoiced(copies, np.random.default_rng(5)))
    names = ("lh", "theta", "ln", "lr", "phi", "f0")
    reference = upstream.synth(*(values[name] for name in names), np.random.default_rng(5))
    assert len(found) == len(reference) == 300 * len(values["f0"])
    assert snr(reference, found) > 40


def test_speech_is_speech(voice):
    samples = spoken(voice, TEXT)
    assert samples.dtype == np.float32
    assert 2 < len(samples) / 24_000 < 8
    assert np.isfinite(samples).all()
    assert np.sqrt(np.mean(samples**2)) > 0.01


def test_twice_the_speed_is_about_half_as_long(voice):
    """In the network's own frames: the pauses between sentences stay as they are."""
    network = voice._networks["heart"]
    ids = phonemes(voice, "The quick brown fox jumps over the lazy dog.")[0]

    def frames(speed: float) -> int:
        return len(asyncio.run(network.run(ids=ids, speed=np.array([speed], np.float32)))["f0"][0])

    assert 0.4 < frames(2.0) / frames(1.0) < 0.6
    pauses = 2 * (0.05 + 0.45) * 24_000
    assert len(spoken(voice, TEXT, speed=2.0)) - pauses < 0.6 * (len(spoken(voice, TEXT)) - pauses)


def test_a_seed_makes_speech_reproducible_to_the_bit(voice):
    first = spoken(voice, TEXT, seed=11)
    assert np.array_equal(first, spoken(voice, TEXT, seed=11))
    assert not np.array_equal(first, spoken(voice, TEXT, seed=12))


def test_the_cuts_of_the_stream_change_nothing(voice):
    assert np.array_equal(spoken(voice, TEXT, seed=1), spoken(voice, *TEXT, seed=1))


@pytest.mark.parametrize("text", ["...", "!?", "— \n\n —", "🙂"])
def test_what_cannot_be_spoken_gives_no_audio(voice, text):
    assert len(spoken(voice, text)) == 0


def test_more_phonemes_than_the_network_takes_are_spoken_in_pieces(voice):
    pieces = phonemes(voice, "telephone " * 150)
    assert len(pieces) > 1
    assert sum(ids.shape[1] - 2 for ids in pieces) > 150 * len("telfon")
    for ids in pieces:
        signature().check({"ids": ids, "speed": np.ones(1, np.float32)})


def test_a_folder_is_recognised_with_the_voices_that_are_in_it(catalogue, tmp_path):
    source = catalogue.ensure(catalogue.find("hibari"))
    folder = tmp_path / "my voices"
    folder.mkdir()
    for name in ("hibari.onnx", "vocab.json"):
        (folder / name).symlink_to(source / name)
    (folder / "am_fenrir_v2.int8.onnx").symlink_to(source / "hibari.onnx")
    card = recognise(folder)
    assert (card.name, card.family, card.task) == ("my-voices", "hibari", Task.SPEECH)
    assert [voice.name for voice in card.voices] == ["heart", "fenrir"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 178}', '{"a": "b"}'])
def test_a_damaged_vocabulary_is_named(catalogue, tmp_path, content):
    source = catalogue.ensure(catalogue.find("hibari"))
    (tmp_path / "hibari.onnx").symlink_to(source / "hibari.onnx")
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(ModelFileError, match=r"vocab\.json cannot be used.*sonorant pull"):
        load(recognise(tmp_path), tmp_path, host=None)


def test_words_are_timed_where_they_sound(voice):
    """Each written word has a time, in order, and sound lies in it; silence lies before the first."""

    async def main():
        asked = SpeechRequest(model="hibari", voice="heart", seed=3)
        return [chunk async for chunk in voice.synthesize(asked, once("Dr. Lee paid $5.20, on May 3rd."))]

    (chunk,) = asyncio.run(main())
    assert [word.text for word in chunk.words] == ["Dr.", "Lee", "paid", "$5.20,", "on", "May", "3rd."]
    times = [t for word in chunk.words for t in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < chunk.seconds + 0.05
    for word in chunk.words:
        span = chunk.samples[round(word.start * 24_000) : round(word.end * 24_000)]
        assert np.sqrt(np.mean(span**2)) > 0.01
    money = chunk.words[3]
    assert money.end - money.start > 2.5 * (chunk.words[2].end - chunk.words[2].start)  # five words as one
