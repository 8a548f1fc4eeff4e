"""Silero: where somebody speaks, on real speech, noise and silence."""

import asyncio

import numpy as np
import pytest

from recordings import real_speech
from sonorant.audio.babble import babble
from sonorant.audio.resample import Resampler
from sonorant.catalogue import Catalogue
from sonorant.families import recognise, silero
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings
from sonorant.tasks import AudioChunk, SpeechSpan, Task

RATE = 16_000


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(load_settings().catalogue)


@pytest.fixture(scope="module")
def detector(catalogue):
    device = Device("cpu")
    card = catalogue.find("silero-vad")
    yield silero.load(card, catalogue.ensure(card), ReplicaHost(card, catalogue, device, {}))
    device.close()


@pytest.fixture(scope="module")
def two_cities() -> np.ndarray:
    """44 s of speech at 16 kHz."""
    import soundfile

    samples, rate = soundfile.read(real_speech()[1].path, dtype="float32")
    resampler = Resampler(rate, RATE)
    return np.clip(np.concatenate([resampler.process(samples), resampler.flush()]), -1, 1)


def detected(detector, samples: np.ndarray, sizes) -> list[SpeechSpan]:
    async def audio():
        start = 0
        while start < len(samples):
            size = next(sizes)
            yield AudioChunk(samples[start : start + size], RATE)
            start += size

    async def main():
        return [span async for span in detector.detect(audio())]

    return asyncio.run(main())


def forever(size: int):
    while True:
        yield size


def test_spans_do_not_depend_on_the_chunks(detector, two_cities):
    whole = detected(detector, two_cities, forever(len(two_cities)))
    chance = np.random.default_rng(3)
    ragged = iter(lambda: int(chance.integers(0, 5000)), -1)
    for sizes in (forever(RATE), forever(512), forever(160), ragged):
        spans = detected(detector, two_cities, sizes)
        assert [(s.start, s.end) for s in spans] == [(s.start, s.end) for s in whole]
        np.testing.assert_allclose([s.probability for s in spans], [s.probability for s in whole], atol=1e-4)


def test_what_models_are_tried_with_is_taken_for_speech(detector):
    [span] = detected(detector, babble(3.0, RATE), forever(RATE))
    assert span.end - span.start > 2.5 * RATE


def test_spans_hold_the_audio_itself_in_order_and_apart(detector, two_cities):
    spans = detected(detector, two_cities, forever(RATE))
    assert len(spans) >= 3
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(two_cities)
        assert np.array_equal(span.samples, two_cities[span.start : span.end])
        assert (span.end - span.start) / RATE <= 18 + 0.5
        assert 0.4 < span.probability <= 1
        end = span.end
    assert sum(span.end - span.start for span in spans) > 0.6 * len(two_cities)


def test_noise_and_silence_are_no_speech(detector):
    noise = np.random.default_rng(0).normal(0, 0.05, 20 * RATE).astype(np.float32).clip(-1, 1)
    assert detected(detector, noise, forever(RATE)) == []
    assert detected(detector, np.zeros(20 * RATE, np.float32), forever(RATE)) == []
    assert detected(detector, np.zeros(0, np.float32), forever(RATE)) == []


def test_speech_that_breaks_off_ends_with_the_audio(detector, two_cities):
    cut = two_cities[: 5 * RATE + 123]
    last = detected(detector, cut, forever(RATE))[-1]
    assert last.end <= len(cut)
    assert np.array_equal(last.samples, cut[last.start : last.end])


def test_its_folder_is_recognised(catalogue):
    card = recognise(catalogue.ensure(catalogue.find("silero-vad")))
    assert (card.family, card.task, card.sample_rate) == ("silero", Task.VAD, RATE)
