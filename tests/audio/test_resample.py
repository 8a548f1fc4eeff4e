"""Streaming resampling equals resampling at once, and keeps length and pitch."""

import numpy as np
import pytest

from sonorant.audio.resample import Resampler


def tone(rate: int, seconds: float, hertz: float = 440) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def run(samples: np.ndarray, input_rate: int, output_rate: int, step: int) -> np.ndarray:
    resampler = Resampler(input_rate, output_rate)
    parts = [resampler.process(samples[i : i + step]) for i in range(0, len(samples), step)]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize(
    ("input_rate", "output_rate"), [(8000, 16000), (44100, 16000), (22050, 24000), (24000, 8000)]
)
def test_cutting_the_input_changes_nothing(input_rate: int, output_rate: int) -> None:
    samples = tone(input_rate, 1.3)
    whole = run(samples, input_rate, output_rate, len(samples))
    assert len(whole) == round(1.3 * output_rate)
    for step in (1, 77, 4096) if input_rate == 8000 else (333, 4096):
        np.testing.assert_allclose(run(samples, input_rate, output_rate, step), whole, atol=1e-6)


@pytest.mark.parametrize(("input_rate", "output_rate"), [(8000, 16000), (48000, 16000), (22050, 24000)])
def test_a_tone_stays_the_same_tone(input_rate: int, output_rate: int) -> None:
    resampled = run(tone(input_rate, 1), input_rate, output_rate, 1000)
    middle = slice(output_rate // 10, -output_rate // 10)
    np.testing.assert_allclose(resampled[middle], tone(output_rate, 1)[middle], atol=1e-3)


def test_equal_rates_pass_samples_through() -> None:
    samples = tone(16000, 0.2)
    np.testing.assert_array_equal(run(samples, 16000, 16000, 100), samples)
