"""DNSMOS and DistillMOS: upstream's scores, and better speech above worse."""

import numpy as np
import pytest
import soundfile
import soxr

import sonorant
from planted import noise
from recordings import real_speech
from sonorant.errors import AudioError, UnsupportedError

pytestmark = pytest.mark.heavy

UPSTREAM = {"dnsmos": 3.2374278, "distillmos": 3.6708368}
"""of the first 5 s of two_cities.wav: ovrl_mos of speechmos 0.0.1.1, and distillmos 0.9.1"""


@pytest.fixture(scope="module")
def speech():
    samples, rate = soundfile.read(real_speech()[1].path, dtype="float32")
    return soxr.resample(samples, rate, 16_000)[: 5 * 16_000]


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_scorer_says_what_upstream_says_and_hears_noise(name, speech):
    scorer = sonorant.load(name)
    scores = [
        scorer.score(sonorant.AudioChunk(np.clip(samples, -1, 1), 16_000)).result()
        for samples in (speech, noise(speech, 20), noise(speech, 5))
    ]
    assert scores[0] == pytest.approx(UPSTREAM[name], abs=1e-3)
    assert scores[0] > scores[1] + 0.2 > scores[2] + 0.4
    with pytest.raises(AudioError, match="shape"):
        scorer.score(sonorant.AudioChunk(speech[:0], 16_000)).result()
    with pytest.raises(UnsupportedError):
        scorer.transcribe(sonorant.AudioChunk(speech, 16_000)).result()
    scorer.close()


def test_a_detector_finds_speech_between_silences(speech):
    detector = sonorant.load("silero-vad")
    padded = np.concatenate([np.zeros(32_000, np.float32), speech, np.zeros(32_000, np.float32)])
    spans = detector.detect(sonorant.AudioChunk(padded, 16_000)).result()
    assert spans
    assert all(1.8 < start < end < 7.3 for start, end in spans)
    detector.close()
