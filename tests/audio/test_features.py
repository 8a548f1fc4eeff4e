"""Filter bank features against Kaldi's formula, written out once more here."""

import numpy as np
import pytest
import soundfile

from recordings import mandarin_speech
from sonorant.audio.features import LogMel, fbank, mel_filters


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


def hifigan_mel() -> LogMel:
    return LogMel(sample_rate=22_050, n_fft=1024, hop=256, window=1024, bins=80, low=0, high=8000)


def chirp(n: int = 6000) -> np.ndarray:
    """200 Hz rising to 1 kHz, at 22,050 Hz."""
    t = np.arange(n) / 22_050
    return (0.3 * np.sin(2 * np.pi * (200 * t + 1500 * t * t))).astype(np.float32)


def test_log_mels_are_those_that_librosas_filters_give():
    """meldataset.py of HiFi-GAN's authors, with librosa 0.11's filters and transform, on the same chirp."""
    mel = hifigan_mel()
    found = np.concatenate([mel.process(chirp()), mel.flush()], axis=1)
    assert (found.shape, found.dtype) == ((80, 23), np.float32)
    rows, columns = [0, 5, 20, 40, 79], [0, 1, 11, 22]
    expected = [
        [-0.84802, -2.63596, -10.12416, -3.03697],
        [0.56347, 0.47728, -8.80961, -2.98898],
        [-3.5478, -5.30546, -5.43272, -2.14319],
        [-5.1438, -6.9067, -11.51293, -3.61705],
        [-7.75646, -9.51904, -11.51293, -6.62612],
    ]
    np.testing.assert_allclose(found[np.ix_(rows, columns)], expected, atol=1e-4)
    filters = mel_filters(22_050, 1024, 80, 0, 8000)
    assert filters.sum() == pytest.approx(3.7136884, rel=1e-6)


@pytest.mark.parametrize("size", [1, 100, 777])
def test_log_mels_do_not_depend_on_how_the_audio_comes(size):
    samples, mel = chirp(2000), hifigan_mel()
    whole = np.concatenate([mel.process(samples), mel.flush()], axis=1)
    mel = hifigan_mel()
    pieces = [mel.process(samples[start : start + size]) for start in range(0, 2000, size)]
    np.testing.assert_allclose(np.concatenate([*pieces, mel.flush()], axis=1), whole, atol=1e-5)
    assert whole.shape[1] == 2000 // 256


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (384, 0), (385, 1), (511, 1), (512, 2)])
def test_what_is_too_short_to_be_mirrored_has_no_log_mel(samples, frames):
    mel = hifigan_mel()
    parts = [mel.process(chirp(samples)), mel.flush()]
    assert sum(part.shape[1] for part in parts) == frames
