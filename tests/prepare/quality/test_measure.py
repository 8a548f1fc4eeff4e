"""Two loaded models in, figures out."""

import pytest

import sonorant
from sonorant.errors import AudioError, UnsupportedError
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.quality import copies, measure
from sonorant.prepare.quality.judges import Judges
from sonorant.prepare.quality.recordings import recorded, spoken
from sonorant.prepare.quality.sentences import lines
from sonorant.tasks import AudioChunk

TEXTS = lines("english")[2:4]


@pytest.fixture(scope="module")
def voice():
    model = sonorant.load("hibari")
    yield model
    model.close()


def test_a_voice_beside_itself(voice):
    heard = []
    panel = Judges(hear=lambda audio: heard.append(audio.seconds) or "", names={"listener": "a deaf one"})
    figures = measure(voice, voice, texts=TEXTS, panel=panel)
    assert (figures.kind, figures.items, figures.varied) == ("speech", 2, False)
    assert len(heard) == 4
    assert figures.values["wer_increase"].value == 0
    assert figures.judges == {"listener": "a deaf one"}
    verdict = judge(figures, thresholds())
    assert not verdict.failed
    assert verdict.unmeasured["dnsmos_drop"] == "dnsmos was not asked"


def test_a_voice_without_fixed_sentences_wants_texts(voice):
    with pytest.raises(AudioError, match="There are no fixed sentences in the language 'it'"):
        measure(voice, voice, language="it", panel=Judges())


def test_what_has_no_measures_is_refused():
    normalizer = sonorant.load("wetext")
    with pytest.raises(UnsupportedError, match="There are no measures of quality for text-normalization"):
        measure(normalizer, normalizer)
    normalizer.close()


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["silero-vad", "campplus"])
def test_a_detector_and_an_embedder_beside_themselves(name):
    with_itself = sonorant.load(name)
    assert judge(measure(with_itself, with_itself), thresholds()).passed
    with_itself.close()


@pytest.mark.heavy
def test_a_recogniser_beside_a_smaller_one():
    base, tiny = sonorant.load("moonshine-base"), sonorant.load("moonshine-tiny")
    recordings = [*recorded(["en"]), *spoken("en", 6)]
    assert judge(measure(base, base, recordings=recordings), thresholds()).passed
    figures = measure(base, tiny, recordings=recordings)
    assert figures.values["disagreement"].value > 0
    base.close()
    tiny.close()


@pytest.mark.heavy
def test_copies_of_recordings_are_laid_over():
    def quieter(audio: AudioChunk) -> AudioChunk:
        return AudioChunk(audio.samples / 2, audio.sample_rate)

    recordings = recorded(["zh"])[:1]
    same = copies.measure(lambda audio: audio, lambda audio: audio, recordings)
    assert (same.kind, judge(same, thresholds()).failed) == ("vocoder", ())
    worse = copies.measure(lambda audio: audio, quieter, recordings)
    assert "level" in {found.figure for found in judge(worse, thresholds()).failed}
