"""First audio, breaks and viability of streams whose every arrival is given: exact figures."""

import pytest

from sonorant.bench.playback import Chunk, Heard, heard


def of(*chunks: tuple[float, float], onset: float = 0.0) -> Heard:
    return heard([Chunk(at, seconds) for at, seconds in chunks], onset)


def test_a_stream_that_is_always_ahead():
    assert of((0.25, 0.5), (0.5, 0.5), (1.0, 0.5)) == Heard(0.25, 0.25, 3, 3, 0, 0.0)


def test_a_header_or_a_little_audio_is_not_enough():
    # 100 ms are complete with the third piece
    assert of((0.125, 0.0625), (0.25, 0.03125), (0.5, 0.03125), (0.5, 1.0)).first_audio == 0.5


def test_silence_before_the_first_sound_is_not_audio():
    assert of((0.25, 0.5), (0.75, 0.5), (1.0, 0.5), onset=0.5).first_audio == 0.75
    # 100 ms past an onset at 0.5 s lie behind the first 0.59375 s
    assert of((0.25, 0.59375), (1.0, 0.5), onset=0.5).first_audio == 1.0
    assert of((0.25, 0.625), (1.0, 0.5), onset=0.5).first_audio == 0.25


def test_audio_that_is_shorter_than_enough_counts_when_all_of_it_is_there():
    assert of((0.25, 0.03125), (0.5, 0.03125)).first_audio == 0.5


def test_a_pause_longer_than_the_audio_is_an_underrun():
    # played from 0.25 s, the first half second lasts until 0.75; the next comes at 1.0
    assert of((0.25, 0.5), (1.0, 0.5), (1.5, 0.5)) == Heard(0.25, 0.5, 3, 2, 1, 0.25)


def test_first_audio_counts_from_where_playback_never_runs_dry():
    # the pause could only be bridged by starting at 3.0 - 0.5
    found = of((0.25, 0.5), (3.0, 4.0))
    assert (found.first_audio, found.ttfa) == (0.25, 2.5)


def test_after_an_underrun_the_rest_is_due_later():
    # 0.25 late at the second, by which the third becomes due at 1.5 and is in time, the fourth at 2.0 and is not
    found = of((0.25, 0.5), (1.0, 0.5), (1.5, 0.5), (2.5, 0.5))
    assert (found.underruns, found.in_time, found.dry_seconds) == (2, 2, 0.75)
    # without a break: the fourth piece begins 1.5 s into the audio and comes at 2.5
    assert found.ttfa == 1.0


def test_arriving_exactly_when_it_is_needed_is_in_time():
    assert of((0.25, 0.5), (0.75, 0.5)).underruns == 0


@pytest.mark.parametrize("onset", [0.0, 0.25])
def test_one_piece_is_heard_when_it_comes(onset):
    assert of((0.5, 2.0), onset=onset) == Heard(0.5, 0.5, 1, 1, 0, 0.0)
