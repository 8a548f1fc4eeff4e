"""The listener hears people right: what it says about our voices can be believed."""

import pytest
import soundfile
import soxr

from listening import (
    LISTENING_RATE,
    Recording,
    character_errors,
    listener,
    mandarin_speech,
    pinyin_errors,
    real_speech,
    word_errors,
)

pytestmark = pytest.mark.system


def hear(recording: Recording) -> str:
    samples, rate = soundfile.read(recording.path, dtype="float32")
    return listener().hear(soxr.resample(samples, rate, LISTENING_RATE), recording.language)


def test_people_are_understood() -> None:
    errors = words = 0
    for recording in real_speech():
        wrong, said = word_errors(recording.transcript, hear(recording))
        errors, words = errors + wrong, words + said
    assert words == 131
    assert errors <= 3


def test_a_sentence_read_in_mandarin_is_heard_right_but_for_a_homophone() -> None:
    sentence, _ = mandarin_speech()
    heard = hear(sentence)
    assert pinyin_errors(sentence.transcript, heard) == (0, 13)
    assert character_errors(sentence.transcript, heard)[0] <= 1


def test_mandarin_spoken_freely_is_followed() -> None:
    """The limit is loose: the speaker starts over, is cut off, and names what nobody can spell."""
    _, minute = mandarin_speech()
    errors, syllables = pinyin_errors(minute.transcript, hear(minute))
    assert syllables > 300
    assert errors / syllables <= 0.15
