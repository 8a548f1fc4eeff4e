"""What we say is understood by a listener that has nothing to do with us: WER ≤ 5%."""

import pytest

import roundtrip
import sonorant

pytestmark = pytest.mark.system


@pytest.mark.heavy
def test_an_independent_listener_understands_every_sentence():
    sentences = roundtrip.sentences()
    assert len(sentences) >= 60
    model = sonorant.load("hibari")

    def speak(text: str):
        speech = model.say(text, seed=0).result()
        return speech.samples, speech.sample_rate

    try:
        results = list(roundtrip.round_trip(speak, sentences))
    finally:
        model.close()
    wrong = [f"{result.text} → {result.heard}" for result in results if result.errors]
    assert roundtrip.word_error_rate(results) <= 0.05, "\n".join(wrong)
