"""Pauses around spoken sentences."""

import numpy as np
import pytest

from sonorant.audio.joins import Pauses, pause_after, with_pauses

RATE = 24_000
TONE = (0.5 * np.sin(np.arange(RATE) / 10)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0.02, 0.1), (1, 2), (0, 3)])
def test_lead_and_tail_are_what_was_asked_for(before, after):
    padded = np.concatenate([silence(before), TONE, silence(after)])
    joined, _ = with_pauses(padded, RATE, lead=0.05, tail=0.3)
    loud = np.flatnonzero(np.abs(joined) > 0.005)
    assert loud[0] / RATE == pytest.approx(0.05, abs=0.006)
    assert (len(joined) - loud[-1]) / RATE == pytest.approx(0.3, abs=0.006)
    assert joined.dtype == np.float32
    np.testing.assert_array_equal(joined[loud[0] : loud[-1]], TONE[np.flatnonzero(np.abs(TONE) > 0.005)[0] :][
        : loud[-1] - loud[0]])  # fmt: skip


def test_a_soft_consonant_is_not_cut():
    soft = 0.5 * 10 ** (-30 / 20) * TONE[: RATE // 5]
    joined, _ = with_pauses(np.concatenate([soft, TONE, soft]).astype(np.float32), RATE, lead=0, tail=0)
    assert len(joined) / RATE == pytest.approx(1.4, abs=0.011)


@pytest.mark.parametrize("samples", [silence(0), silence(0.001), silence(1)])
def test_silence_comes_back_as_it_is(samples):
    same, shift = with_pauses(samples, RATE, tail=0.3)
    np.testing.assert_array_equal(same, samples)
    assert shift == 0


@pytest.mark.parametrize("step", [1, 100, 1_000, 30_000, 100_000])
def test_sound_that_comes_in_pieces_gets_the_same_pauses(step):
    padded = np.concatenate([silence(0.3), 0.3 * TONE, silence(0.5), TONE, silence(1)]).astype(np.float32)
    whole, shift = with_pauses(padded, RATE, tail=0.3)
    pauses, given = Pauses(RATE), []
    for start in range(0, len(padded), step):
        given.append(pauses.process(padded[start : start + step]))
    given.append(pauses.finish(0.3))
    np.testing.assert_array_equal(np.concatenate(given), whole)
    assert pauses.shift == shift == pytest.approx(-0.25, abs=0.006)


def test_sound_is_given_at_once_and_what_may_be_the_last_silence_is_held_back():
    pauses = Pauses(RATE)
    assert len(pauses.process(silence(0.2))) == 0
    first = pauses.process(np.concatenate([TONE, silence(0.2)]))
    assert len(first) / RATE == pytest.approx(1.05, abs=0.006)
    assert len(pauses.process(silence(0.2))) == 0
    assert len(pauses.process(TONE)) / RATE == pytest.approx(1.4, abs=0.011)


def test_noise_before_a_voice_is_no_sound_because_it_is_alone():
    noise = (1e-4 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    pauses = Pauses(RATE)
    assert len(pauses.process(noise)) == 0
    assert len(pauses.process(TONE)) / RATE == pytest.approx(1.05, abs=0.006)


def test_a_paragraph_pauses_longer():
    assert pause_after(paragraph=True) > pause_after(paragraph=False)
