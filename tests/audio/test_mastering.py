"""Trimming, and words that keep to their sounds."""

import numpy as np
import pytest

from sonorant.audio.mastering import Mastering
from sonorant.tasks import AudioChunk, Delivery, Word

RATE = 24000


def seconds(*stretches: float) -> np.ndarray:
    """Silence and tone in turns, seconds each, beginning with silence."""
    parts = [
        (0.3 if i % 2 else 0) * np.sin(2 * np.pi * 300 / RATE * np.arange(round(n * RATE)))
        for i, n in enumerate(stretches)
    ]
    return np.concatenate(parts).astype(np.float32)


def mastered(chunks, output_rate: int = RATE, **wishes) -> list[AudioChunk]:
    mastering = Mastering(RATE, output_rate, Delivery(**wishes))
    return [*(mastering.process(chunk) for chunk in chunks), mastering.finish()]


def joined(chunks: list[AudioChunk]) -> np.ndarray:
    return np.concatenate([chunk.samples for chunk in chunks])


def pieces(samples: np.ndarray, step: int) -> list[AudioChunk]:
    return [AudioChunk(samples[i : i + step], RATE) for i in range(0, len(samples), step)]


def words_of(chunks: list[AudioChunk]) -> list[Word]:
    """From the start of the stream."""
    found, at = [], 0.0
    for chunk in chunks:
        found += [Word(w.text, w.start + at, w.end + at) for w in chunk.words or ()]
        at += chunk.seconds
    return found


@pytest.mark.parametrize("step", [240, 5000, 10**9])
def test_silence_goes_at_both_ends_and_stays_between(step):
    samples = seconds(0.7, 0.5, 0.4, 0.3, 0.9)
    heard = joined(mastered(pieces(samples, step), trim_silence=True))
    loud = np.flatnonzero(np.abs(heard) > 0.01)
    assert 0 <= loud[0] <= 0.02 * RATE
    assert 0 <= len(heard) - loud[-1] <= 0.021 * RATE
    between = heard[round(0.52 * RATE) : round(0.9 * RATE)]
    assert not between.any()
    assert len(heard) == pytest.approx((0.5 + 0.4 + 0.3) * RATE, abs=0.04 * RATE)


def test_silence_is_held_back_until_more_sound_comes():
    mastering = Mastering(RATE, RATE, Delivery(trim_silence=True))
    assert len(mastering.process(AudioChunk(seconds(0.2, 0.5, 0.4), RATE)).samples) < 0.54 * RATE
    assert len(mastering.process(AudioChunk(seconds(0.3), RATE)).samples) == 0
    assert len(mastering.process(AudioChunk(seconds(0.1, 0.2), RATE)).samples) > 0.9 * RATE
    assert len(mastering.finish().samples) == 0


def test_speech_without_any_sound_stays_as_it_is():
    heard = joined(mastered(pieces(seconds(1.5), 4000), trim_silence=True))
    assert len(heard) == 1.5 * RATE


@pytest.mark.parametrize("wishes", [
    {"trim_silence": True}, {"trim_silence": True, "loudness": -20}, {"trim_silence": True, "output_rate": 8000},
    {"loudness": -20, "output_rate": 8000}, {},
])  # fmt: skip
def test_words_stay_with_their_sounds(wishes):
    chunks = [
        AudioChunk(seconds(0.5, 0.4, 0.3), RATE, (Word("one", 0.5, 0.9),)),
        AudioChunk(seconds(0.1, 0.6, 0.5), RATE, (Word("two", 0.1, 0.7),)),
    ]
    heard = mastered(chunks, **wishes)
    rate = wishes.get("output_rate", RATE)
    sound = np.abs(joined(heard)) > 0.02
    words = words_of(heard)
    assert [word.text for word in words] == ["one", "two"]
    for word in words:
        start, end = round(word.start * rate), round(word.end * rate)
        assert sound[start + rate // 100 : end - rate // 100].mean() > 0.8
        assert not sound[max(0, start - rate // 20) : max(0, start - rate // 100)].any()
        assert not sound[end + rate // 100 : end + rate // 20].any()


def test_no_word_lasts_beyond_the_sound():
    chunk = AudioChunk(seconds(0.1, 0.4, 0.3), RATE, (Word("long", 0.0, 0.8),))
    heard = mastered([chunk], trim_silence=True)
    (word,) = words_of(heard)
    assert 0 <= word.start < word.end <= len(joined(heard)) / RATE


def test_unmeasured_words_stay_unmeasured():
    assert [c.words for c in mastered([AudioChunk(seconds(0.1, 0.4), RATE)], trim_silence=True)] == [
        None,
        None,
    ]


def test_what_nobody_asked_for_is_not_done():
    chunk = AudioChunk(seconds(0.1, 0.4), RATE)
    assert mastered([chunk])[0] is chunk


def test_a_long_pause_is_not_held_for_ever():
    mastering = Mastering(RATE, RATE, Delivery(trim_silence=True))
    mastering.process(AudioChunk(seconds(0, 0.5), RATE))
    given = sum(len(mastering.process(AudioChunk(seconds(1.0), RATE)).samples) for _ in range(40))
    assert given >= 9 * RATE


def test_a_word_that_goes_on_into_the_next_chunk_keeps_its_times():
    """It comes with the chunk in which it ends, and begins before that."""
    sound = seconds(0.5, 2.0)
    chunks = [
        AudioChunk(sound[: RATE // 2 * 3], RATE, (Word("one", 0.5, 1.2),)),
        AudioChunk(sound[RATE // 2 * 3 :], RATE, (Word("two", -0.3, 0.6),)),
    ]
    for wishes in ({}, {"trim_silence": True}, {"trim_silence": True, "loudness": -20.0}):
        output_rate = RATE if "loudness" not in wishes else 16_000
        mastering = Mastering(RATE, output_rate, Delivery(**wishes))
        heard = [*(mastering.process(chunk) for chunk in chunks), mastering.finish()]
        trimmed = 0.485 if wishes else 0.0
        (one, two) = words_of(heard)
        assert (one.start, one.end) == pytest.approx((0.5 - trimmed, 1.2 - trimmed), abs=0.01)
        assert (two.start, two.end) == pytest.approx((1.2 - trimmed, 2.1 - trimmed), abs=0.01)
