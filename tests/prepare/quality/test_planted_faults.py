"""Faults planted into real speech are caught, and changes that nobody hears are let through."""

import shutil

import numpy as np
import onnx
import pytest
import soxr

import sonorant
from planted import FAULTS, HONEST
from sonorant.catalogue import Catalogue
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.parity import seeded
from sonorant.prepare.quality import speech
from sonorant.prepare.quality.judges import Judges, judges
from sonorant.prepare.quality.sentences import lines
from sonorant.settings import load_settings
from sonorant.tasks import AudioChunk

SHORT = (2, 11)
"""of the sentences: 4 and 3 s"""
TEXTS = lines("english")[:12]
FEW = 6
"""sentences of a voice that varies: what is warped takes longer"""


def changed(chunk, change):
    return AudioChunk(np.asarray(change(chunk.samples, chunk.sample_rate), np.float32), chunk.sample_rate)


def failed(reference, candidate, **others):
    return [
        found.figure for found in judge(speech.compare(reference, candidate, **others), thresholds()).failed
    ]


@pytest.fixture(scope="module")
def short():
    """hibari says a text the same each time."""
    voice = sonorant.load("hibari")
    yield [voice.say(TEXTS[n]).result() for n in SHORT]
    voice.close()


ALONE = ["click", "zeroed frame", "stuck frame", "noise at 30 dB", "clipped at a third of the peak", "lost word",
         "hop one sample short", "not a number", "swapped channels", "half the band"]  # fmt: skip
QUICK = ["16 bits with dither", "noise of 1e-4", "resampled there and back", "a hop of silence more"]


@pytest.mark.parametrize("fault", ALONE)
def test_a_fault_in_one_answer_is_caught(short, fault):
    assert failed(short, [short[0], changed(short[1], FAULTS[fault])])


@pytest.mark.parametrize("honest", QUICK)
def test_what_nobody_hears_passes(short, honest):
    assert failed(short, [changed(chunk, HONEST[honest]) for chunk in short]) == []


def test_another_sample_rate_is_caught(short):
    assert failed(short, [AudioChunk(chunk.samples, 22_050) for chunk in short]) == ["broken"]


def test_without_judges_the_verdict_is_not_measured(short):
    verdict = judge(
        speech.compare(short, short, panel=Judges(absent={"dnsmos": "it is not here"})), thresholds()
    )
    assert verdict.outcome == "not measured"
    assert verdict.unmeasured["dnsmos_drop"] == "it is not here"
    assert verdict.unmeasured["wer_increase"] == "listener was not asked"


@pytest.fixture(scope="module")
def joe(tmp_path_factory):
    """A folder of Piper's voice whose noise is the same at each start: what a test measures must not depend on
    chance. It still says each sentence differently each time."""
    catalogue = Catalogue(load_settings().catalogue)
    folder = tmp_path_factory.mktemp("voices") / "joe"
    shutil.copytree(catalogue.ensure(catalogue.find("piper-joe")), folder)
    [path] = folder.glob("*.onnx")
    model = onnx.load(path)
    model = seeded(model)
    onnx.save(model, path)
    return str(folder)


@pytest.fixture(scope="module")
def answers(joe):
    """voice → (reference, the reference again where it varies, candidate), 12 sentences each."""
    found = {}
    for name in ("hibari", "piper-joe"):
        with pytest.MonkeyPatch.context() as patch:
            for quick in ("warm_up.SECONDS", "trial.QUICK"):  # as many runs, and as much noise, at each start
                patch.setattr(f"sonorant.replica.{quick}", 0.0)
            voice = sonorant.load(joe if name == "piper-joe" else name)
        said = [[voice.say(text, seed=0).result() for text in TEXTS] for _ in range(3)]
        found[name] = (said[0], said[1] if name == "piper-joe" else None, said[2])
        voice.close()
    return found


@pytest.mark.heavy
@pytest.mark.parametrize("voice", ["hibari", "piper-joe"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught_by_sound_alone(answers, voice, fault):
    """One hides in a voice's own variation: a spectrum in steps of 6 dB. The parity of tensors is for that."""
    if (voice, fault) == ("piper-joe", "coarse spectrum"):
        pytest.skip("a voice that varies does not show it")
    reference, again, candidate = (given and given[:FEW] for given in answers[voice])
    assert failed(reference, [changed(chunk, FAULTS[fault]) for chunk in candidate], again=again)


@pytest.mark.heavy
@pytest.mark.parametrize("voice", ["hibari", "piper-joe"])
@pytest.mark.parametrize("honest", HONEST)
def test_every_honest_change_passes(answers, voice, honest):
    reference, again, candidate = (given and given[:FEW] for given in answers[voice])
    assert failed(reference, [changed(chunk, HONEST[honest]) for chunk in candidate], again=again) == []


@pytest.mark.heavy
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("backwards",)])
def test_a_fault_in_one_answer_of_twelve_is_caught(answers, fault):
    reference, _, candidate = answers["hibari"]
    assert failed(reference, [*candidate[:5], changed(candidate[5], FAULTS[fault]), *candidate[6:]])


@pytest.fixture(scope="module")
def panel():
    found = judges("en")
    assert not found.absent
    return found


@pytest.mark.heavy
def test_judges_let_the_same_voice_through(answers, panel):
    for voice in ("hibari", "piper-joe"):
        reference, again, candidate = (given and given[:6] for given in answers[voice])
        assert failed(reference, candidate, again=again, texts=TEXTS[:6], panel=panel) == []


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("fault", "heard_by"),
    [("half the band", "distillmos_drop"), ("noise at 20 dB", "dnsmos_drop"), ("lost word", "words_lost")],
)
def test_judges_hear_what_they_are_for(answers, panel, fault, heard_by):
    reference, _, candidate = (given and given[:4] for given in answers["hibari"])
    spoiled = [changed(chunk, FAULTS[fault]) for chunk in candidate]
    assert heard_by in failed(reference, spoiled, texts=TEXTS[:4], panel=panel)


@pytest.mark.heavy
def test_another_speaker_is_heard(answers, panel):
    """joe in hibari's place: the same words, as good a voice."""
    reference, candidate = answers["hibari"][0][:4], answers["piper-joe"][0][:4]
    rate = reference[0].sample_rate
    resampled = [AudioChunk(soxr.resample(c.samples, c.sample_rate, rate), rate) for c in candidate]
    assert {"speaker", "pitch"} <= set(
        failed(reference, resampled, texts=TEXTS[:4], panel=panel, again=reference)
    )
