"""Loudness and true peaks, against FFmpeg's EBU R128 meter."""

from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest

from sonorant.audio.levelling import Leveller
from sonorant.audio.limiter import Limiter
from sonorant.audio.loudness import Meter
from sonorant.errors import RequestError

TOLERANCE = 0.1  # LU: EBU Tech 3341's for a meter


def measured(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP, by FFmpeg."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=Fraction(1, rate))
    meter = graph.add("ebur128", "metadata=1:peak=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples, np.float32)[np.newaxis], format="flt", layout="mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    graph.push(frame)
    graph.push(None)
    found: dict[str, str] = {}
    while True:
        try:
            found = graph.pull().metadata or found
        except EOFError:
            return float(found["lavfi.r128.I"]), 20 * np.log10(float(found["lavfi.r128.true_peak"]))


def speechlike(rate: int, seconds: float, level: float = 0.1) -> np.ndarray:
    """Noise and pulses at 110 Hz in syllables, with a pause each second: peaks far above the loudness."""
    random = np.random.default_rng(1)
    t = np.arange(round(rate * seconds)) / rate
    pulses = np.zeros(len(t), np.float32)
    pulses[:: rate // 110] = 1
    ringing = np.exp(-np.arange(rate // 50) / (rate * 0.002)) * np.sin(
        2 * np.pi * 700 / rate * np.arange(rate // 50)
    )
    voice = np.convolve(pulses, ringing)[: len(t)] + random.normal(0, 0.02, len(t))
    envelope = (0.3 + 0.7 * np.abs(np.sin(2 * np.pi * 2.5 * t))) * (t % 1 < 0.7)
    return (level * voice * envelope).astype(np.float32)


def levelled(samples: np.ndarray, rate: int, target: float, step: int) -> np.ndarray:
    leveller = Leveller(rate, target)
    parts = [leveller.process(samples[i : i + step]) for i in range(0, len(samples), step)]
    return np.concatenate([*parts, leveller.flush()])


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
def test_the_meter_agrees_with_ffmpeg(rate: int) -> None:
    samples = speechlike(rate, 6)
    for level in (1.0, 0.05):
        meter = Meter(rate)
        for i in range(0, len(samples), 1777):
            meter.add(level * samples[i : i + 1777])
        loudness = meter.integrated()
        assert loudness is not None
        assert loudness == pytest.approx(measured(level * samples, rate)[0], abs=TOLERANCE)


def test_a_reference_tone_reads_as_the_standard_says() -> None:
    """BS.1770-4: a sine of 997 Hz at 0 dBFS in one channel is −3.01 LKFS."""
    meter = Meter(48000)
    meter.add(np.sin(2 * np.pi * 997 * np.arange(5 * 48000) / 48000).astype(np.float32))
    assert meter.integrated() == pytest.approx(-3.01, abs=0.02)


def test_silence_has_no_loudness() -> None:
    meter = Meter(24000)
    assert meter.integrated() is None
    meter.add(np.zeros(48000, np.float32))
    assert meter.integrated() is None


@pytest.mark.parametrize("target", [-31, -23, -16, -14])
@pytest.mark.parametrize(("rate", "step"), [(24000, 30000), (8000, 800), (48000, 500_000)])
def test_a_stream_ends_at_its_target_under_the_ceiling(target: int, rate: int, step: int) -> None:
    samples = speechlike(rate, 8)
    heard = levelled(samples, rate, target, step)
    loudness, peak = measured(heard, rate)
    assert len(heard) == len(samples)
    assert abs(loudness - target) <= 1
    assert peak <= -1


def test_a_target_that_speech_cannot_reach_never_breaks_the_ceiling() -> None:
    loudness, peak = measured(levelled(speechlike(24000, 8), 24000, -9, 24000), 24000)
    assert peak <= -1
    assert -16 < loudness < -8


def test_what_follows_is_not_heard_in_what_came_before() -> None:
    """The first stretch meets the target by itself, before anything else is known."""
    samples = speechlike(24000, 2)
    leveller = Leveller(24000, -20)
    first = leveller.process(samples)
    assert len(samples) - len(first) < 0.01 * 24000, "some milliseconds are held back"
    assert measured(first, 24000)[0] == pytest.approx(-20, abs=0.5)


def test_a_quiet_sentence_stays_quieter_than_a_loud_one() -> None:
    loud, quiet = speechlike(24000, 4), 0.5 * speechlike(24000, 4)
    leveller = Leveller(24000, -20)
    first = leveller.process(loud)
    second = np.concatenate([leveller.process(quiet), leveller.flush()])
    difference = measured(first, 24000)[0] - measured(second[12000:], 24000)[0]
    assert 3 < difference < 6.1


def test_silence_and_nothing_pass() -> None:
    assert len(levelled(np.zeros(0, np.float32), 24000, -16, 10)) == 0
    silence = levelled(np.zeros(30000, np.float32), 24000, -16, 7000)
    assert len(silence) == 30000
    assert not silence.any()
    assert len(levelled(speechlike(24000, 0.1), 24000, -16, 7)) == 2400


@pytest.mark.parametrize("target", [-32, -8, 0, float("nan")])
def test_targets_out_of_range_are_refused(target: float) -> None:
    with pytest.raises(RequestError, match="-31 to -9") as refused:
        Leveller(24000, target)
    assert refused.value.param == "loudness"


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_the_limiter_keeps_true_peaks_and_changes_nothing_else(rate: int) -> None:
    samples = 12 * speechlike(rate, 3)
    limiter = Limiter(rate, -1.2)
    whole = np.concatenate([limiter.process(samples), limiter.flush()])
    limiter = Limiter(rate, -1.2)
    cut = np.concatenate(
        [*(limiter.process(samples[i : i + 333]) for i in range(0, len(samples), 333)), limiter.flush()]
    )
    np.testing.assert_array_equal(whole, cut)
    assert measured(samples, rate)[1] > 0
    assert measured(whole, rate)[1] <= -1
    quiet = samples / 100
    limiter = Limiter(rate, -1.2)
    np.testing.assert_array_equal(np.concatenate([limiter.process(quiet), limiter.flush()]), quiet)
