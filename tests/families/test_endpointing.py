"""From probabilities to spans, on made-up probabilities: frames of 10 samples at 100 frames a second."""

import numpy as np
import pytest

from sonorant.audio.endpointing import Endpointer, Endpointing
from sonorant.tasks import SpeechSpan

FRAME, RATE = 10, 1000


def spans_of(probabilities, step: int = 1, settings: Endpointing | None = None) -> list[SpeechSpan]:
    """Each sample holds its own number, so that a span's samples tell where they come from."""
    endpointer = Endpointer(FRAME, RATE, settings)
    probabilities = np.asarray(probabilities, np.float32)
    samples = np.arange(len(probabilities) * FRAME, dtype=np.float32)
    found = []
    for start in range(0, len(probabilities), step):
        found += endpointer.push(
            probabilities[start : start + step], samples[start * FRAME : (start + step) * FRAME]
        )
    found += endpointer.finish(len(samples))
    for span in found:
        assert np.array_equal(span.samples, samples[span.start : span.end])
    return found


def speech(*seconds: float) -> list[float]:
    """Silence and speech in turns."""
    return [p for i, s in enumerate(seconds) for p in [0.9 * (i % 2)] * round(s * 100)]


def test_a_stretch_gets_its_padding():
    (span,) = spans_of(speech(1, 1, 1))
    assert (span.start, span.end) == (800, 2200)
    assert span.probability == pytest.approx(0.9)


def test_short_silence_joins_and_long_silence_parts():
    assert len(spans_of(speech(1, 1, 0.4, 1, 1))) == 1
    assert [(s.start, s.end) for s in spans_of(speech(1, 1, 0.6, 1, 1))] == [(800, 2200), (2400, 3800)]


def test_a_burst_is_noise():
    assert spans_of(speech(1, 0.05, 1)) == []


def test_a_weak_onset_begins_nothing_but_goes_on():
    assert spans_of([0.3] * 300) == []
    (span,) = spans_of([0.0] * 100 + [0.9] * 50 + [0.3] * 50 + [0.0] * 100)
    assert (span.start, span.end) == (800, 2200)


def test_endless_speech_is_cut_where_it_is_weakest_and_nothing_is_lost():
    probabilities = np.full(5000, 0.9)
    probabilities[1500] = 0.5  # within the last third of the 18 s that a stretch may have
    spans = spans_of(probabilities)
    assert spans[0].end == 1500 * FRAME
    assert all(span.end - span.start <= 18 * RATE for span in spans)
    assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
    assert (spans[0].start, spans[-1].end) == (0, 50_000)


def test_the_end_of_the_audio_ends_a_stretch():
    (span,) = spans_of(speech(1, 1))
    assert (span.start, span.end) == (800, 2000)
    endpointer = Endpointer(FRAME, RATE)
    endpointer.push(np.full(50, 0.9, np.float32), np.zeros(500, np.float32))
    (span,) = endpointer.finish(493)  # the last frame was filled up with 7 samples
    assert (span.end, len(span.samples)) == (493, 493)


@pytest.mark.parametrize("settings", [None, Endpointing(longest=2, end_silence=0.2, padding=0.5)])
def test_spans_are_apart_and_do_not_depend_on_the_chunks(settings):
    chance = np.random.default_rng(4)
    for _ in range(20):
        level = np.repeat(chance.random(60), chance.integers(1, 120, 60))
        probabilities = np.clip(level + chance.normal(0, 0.1, len(level)), 0, 1)
        spans = spans_of(probabilities, settings=settings)
        assert all(a.end <= b.start for a, b in zip(spans, spans[1:], strict=False))
        for step in (7, 100, len(probabilities)):
            found = spans_of(probabilities, step, settings)
            assert [(s.start, s.end, s.probability) for s in found] == [
                (s.start, s.end, s.probability) for s in spans
            ]


@pytest.mark.parametrize("seconds", [(0.05, 0.06), (0.7, 5), (0.3, 40), (0, 60)])
def test_memory_is_bounded_over_two_hours(seconds):
    endpointer = Endpointer(512, 16_000)
    pattern = np.repeat([0.0, 1.0], [round(s * 31.25) for s in seconds]).astype(np.float32)
    probabilities = np.resize(pattern, 2 * 3600 * 16_000 // 512)
    audio = np.zeros(32 * 512, np.float32)
    for start in range(0, len(probabilities) - 32, 32):
        endpointer.push(probabilities[start : start + 32], audio)
        assert len(endpointer._samples) <= 16_000 * (18 + 0.5 + 0.2)
        assert len(endpointer._probabilities) * 512 == len(endpointer._samples)
