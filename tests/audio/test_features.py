"""Filter bank features against Kaldi's formula, written out once more here."""

import numpy as np
import pytest
import soundfile

from recordings import mandarin_speech
from sonorant.audio.features import fbank


def mel(hertz):
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def kaldi(samples: np.ndarray, rate: int, bins: int) -> np.ndarray:
    """compute-fbank-feats with --dither=0, from its documentation; float64."""
    length, hop = rate // 40, rate // 100
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), length)[::hop]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85
    size = 1 << (length - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, size))[:, :-1] ** 2
    edges = np.linspace(mel(20), mel(rate / 2), bins + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    at = mel(np.arange(size // 2) * rate / size)
    weights = np.clip(np.minimum((at - left) / (centre - left), (right - at) / (right - centre)), 0, None)
    return np.log(np.maximum(power @ weights.T, np.finfo(np.float32).eps))


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """16 kHz, from a recording."""
    samples, rate = soundfile.read(mandarin_speech()[0].path, dtype="float32")
    assert rate == 16_000
    return samples


@pytest.mark.parametrize(("rate", "bins"), [(16_000, 80), (16_000, 40), (8_000, 23)])
@pytest.mark.parametrize("scale", [1, 32_768])
def test_they_are_kaldis(speech, rate, bins, scale):
    found, expected = fbank(speech * scale, rate, bins=bins), kaldi(speech * scale, rate, bins)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=5e-4)  # single precision: measured 1.2e-4 at the most
    assert np.abs(found - expected).mean() < 2e-5


def test_only_whole_frames_count(speech):
    assert [len(fbank(speech[:n], 16_000)) for n in (0, 399, 400, 559, 560)] == [0, 0, 1, 1, 2]


def test_a_tone_is_loudest_where_it_is_heard():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    centres = np.linspace(mel(20), mel(8000), 82)[1:-1]
    assert set(fbank(tone, 16_000).argmax(axis=1)) == {int(np.abs(centres - mel(1000)).argmin())}
