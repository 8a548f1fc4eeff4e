"""Recognisers, detectors and embedders: faults in their answers, and answers that are as good."""

from types import SimpleNamespace

import numpy as np
import pytest

from sonorant.errors import AudioError
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.quality import detection, opinions, speakers, transcription
from sonorant.prepare.quality.recordings import Recording
from sonorant.prepare.quality.sentences import lines
from sonorant.tasks import AudioChunk

SILENCE = AudioChunk(np.zeros(1600, np.float32), 16_000)
SAID = lines("english")[:20]
RECORDINGS = [Recording(SILENCE, "en", text) for text in SAID]


def failed(figures):
    return {found.figure for found in judge(figures, thresholds()).failed}


def with_one(change, n=3):
    return [change(text) if at == n else text for at, text in enumerate(SAID)]


HEARD_WRONG = {
    "nothing": with_one(lambda text: ""),
    "a failed run": with_one(lambda text: None),
    "nothing anywhere": [""] * len(SAID),
    "a loop": with_one(lambda text: f"{text} " + "and then and then and then and then"),
    "half a recording": with_one(lambda text: " ".join(text.split()[: len(text.split()) // 2])),
    "another recording": with_one(lambda text: SAID[0]),
    "every last word lost": [text.rsplit(" ", 1)[0] for text in SAID],
    "every first word twice": [f"{text.split()[0]} {text}" for text in SAID],
    "a word of every second": [text if n % 2 else "the " + text for n, text in enumerate(SAID)],
    "off by one": SAID[1:] + SAID[:1],
}
HEARD_RIGHT = {
    "the same": SAID,
    "without case": [text.lower() for text in SAID],
    "without punctuation": [text.replace(",", "").rstrip(".!?") for text in SAID],
    "one word of one": with_one(lambda text: text.replace(text.split()[1], "something", 1)),
    "a hesitation": with_one(lambda text: "Um, " + text),
}


@pytest.mark.parametrize("fault", HEARD_WRONG)
def test_a_transcript_that_is_worse_fails(fault):
    assert failed(transcription.compare(SAID, HEARD_WRONG[fault], RECORDINGS))


@pytest.mark.parametrize("honest", HEARD_RIGHT)
def test_a_transcript_that_is_as_good_passes(honest):
    assert judge(transcription.compare(SAID, HEARD_RIGHT[honest], RECORDINGS), thresholds()).passed


def test_a_candidate_that_hears_better_passes():
    mumbled = [text.rsplit(" ", 1)[0] if n == 2 else text for n, text in enumerate(SAID)]
    figures = transcription.compare(mumbled, SAID, RECORDINGS)
    assert figures.values["wer_increase"].value < 0
    assert judge(figures, thresholds()).passed


def test_without_transcripts_errors_are_not_measured():
    unknown = [Recording(SILENCE, "en") for _ in SAID]
    assert judge(transcription.compare(SAID, SAID, unknown), thresholds()).outcome == "not measured"


def test_chinese_is_counted_in_characters():
    said = lines("chinese")[:20]
    recordings = [Recording(SILENCE, "zh", text) for text in said]
    wrong = [text.replace("的", "了") for text in said]
    assert "wer_increase" in failed(transcription.compare(said, wrong, recordings))
    assert judge(transcription.compare(said, [text[:-1] for text in said], recordings), thresholds()).passed


SPANS = [[(0.5, 3.2), (4.0, 9.5)], [(1.0, 2.0)]]
LENGTHS = [10.0, 4.0]


@pytest.mark.parametrize(
    ("found", "figures"),
    [
        ([[(0.5, 3.2)], SPANS[1]], {"disagreement", "f1_loss", "missed"}),
        ([SPANS[0], []], {"disagreement", "f1_loss", "missed"}),
        ([[(0.0, 10.0)], SPANS[1]], {"disagreement", "f1_loss"}),
        ([[(a + 0.3, b + 0.3) for a, b in spans] for spans in SPANS], {"disagreement", "f1_loss"}),
        ([[], []], {"disagreement", "f1_loss", "missed"}),
        (SPANS[::-1], {"disagreement", "f1_loss", "missed"}),
    ],
)
def test_speech_found_elsewhere_fails(found, figures):
    assert failed(detection.compare(SPANS, found, LENGTHS)) == figures


@pytest.mark.parametrize("late", [0.0, 0.01, -0.01])
def test_speech_found_a_frame_later_passes(late):
    moved = [[(a + late, b) for a, b in spans] for spans in SPANS]
    assert judge(detection.compare(SPANS, moved, LENGTHS), thresholds()).passed


DRAWN = np.random.default_rng(0)
WHO = [0, 0, 0, 1, 1, 1, 2, 2, 2]
PEOPLE = DRAWN.normal(size=(3, 192))
VECTORS = [(PEOPLE[who] + 0.4 * DRAWN.normal(size=192)).astype(np.float32) for who in WHO]


@pytest.mark.parametrize(
    "candidate",
    [
        [np.full(192, np.nan, np.float32), *VECTORS[1:]],
        [np.zeros(192, np.float32), *VECTORS[1:]],
        [vector[:128] for vector in VECTORS],
        VECTORS[1:] + VECTORS[:1],
        [vector + np.float32(0.3) * DRAWN.normal(size=192).astype(np.float32) for vector in VECTORS],
        [np.ones(192, np.float32)] * len(VECTORS),
    ],
    ids=["not a number", "zero", "another size", "off by one", "noise", "one for all"],
)
def test_other_embeddings_fail(candidate):
    assert failed(speakers.compare(VECTORS, candidate, WHO))


@pytest.mark.parametrize(
    "candidate",
    [
        VECTORS,
        [vector.astype(np.float16).astype(np.float32) for vector in VECTORS],
        [vector * np.float32(3) for vector in VECTORS],
        [vector + np.float32(0.02) * DRAWN.normal(size=192).astype(np.float32) for vector in VECTORS],
    ],
    ids=["the same", "float16", "another length", "1e-2"],
)
def test_equal_embeddings_pass(candidate):
    assert judge(speakers.compare(VECTORS, candidate, WHO), thresholds()).passed


OPINIONS = list(DRAWN.uniform(1, 4.5, 24))


@pytest.mark.parametrize(
    "candidate",
    [
        [float("nan"), *OPINIONS[1:]],
        [opinion + 0.02 for opinion in OPINIONS],
        [OPINIONS[0] - 0.1, *OPINIONS[1:]],
        OPINIONS[1:] + OPINIONS[:1],
        [5 - opinion for opinion in OPINIONS],
        [0.9 * opinion for opinion in OPINIONS],
    ],
    ids=["not a number", "better of all", "worse of one", "off by one", "upside down", "scaled"],
)
def test_other_opinions_fail(candidate):
    assert failed(opinions.compare(OPINIONS, candidate))


@pytest.mark.parametrize("by", [0.0, 0.001, 0.01])
def test_equal_opinions_pass(by):
    candidate = [opinion + by * (-1) ** i for i, opinion in enumerate(OPINIONS)]
    assert judge(opinions.compare(OPINIONS, candidate), thresholds()).passed


def test_opinions_are_asked_of_speech_as_it_is_and_with_noise():
    levels = []

    class Judge:
        def score(self, audio):
            levels.append(float(np.std(audio.samples)))
            return SimpleNamespace(result=lambda: levels[-1])

    loud = np.sin(np.arange(16_000 * 7) / 9).astype(np.float32) / 4
    found = opinions.measure(Judge(), Judge(), [Recording(AudioChunk(loud, 16_000), "en")])
    assert found.items == 3
    assert levels[0] < levels[1] < levels[2], "noise adds"
    assert levels[:3] == levels[3:], "both hear the same"


def test_answers_that_do_not_pair_up_are_refused():
    with pytest.raises(
        AudioError, match="20 answers of the reference and 19 of the candidate do not pair up"
    ):
        transcription.compare(SAID, SAID[1:], RECORDINGS)
    with pytest.raises(AudioError, match="do not pair up"):
        detection.compare(SPANS, SPANS[:1], LENGTHS)
    with pytest.raises(AudioError, match="do not pair up"):
        speakers.compare(VECTORS, VECTORS[1:], WHO)
    with pytest.raises(AudioError, match="do not pair up"):
        opinions.compare(OPINIONS, OPINIONS[1:])
