"""The listener hears people right: what it says about our voices can be believed."""

import pytest
import soundfile
import soxr

from listening import LISTENING_RATE, listener, real_speech, word_errors

pytestmark = pytest.mark.system


def test_people_are_understood() -> None:
    errors = words = 0
    for recording in real_speech():
        samples, rate = soundfile.read(recording.path, dtype="float32")
        heard = listener().hear(soxr.resample(samples, rate, LISTENING_RATE), recording.language)
        wrong, said = word_errors(recording.transcript, heard)
        errors, words = errors + wrong, words + said
    assert words == 131
    assert errors <= 3
