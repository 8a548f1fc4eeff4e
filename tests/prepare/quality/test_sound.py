"""Each measure of sound: a number against a reference, and silence where nothing changed."""

import numpy as np
import pytest

from planted import noise
from sonorant.audio.babble import babble
from sonorant.prepare.quality.sound import alignment, faults, spectra
from sonorant.prepare.quality.sound.frames import levels, speech_level
from sonorant.prepare.quality.sound.pitch import pitch
from sonorant.prepare.quality.sound.stoi import stoi

RATE = 16_000
VOICE = babble(2.0, RATE)


@pytest.mark.parametrize("decibels", [-6.0, -20.0])
def test_level_of_a_tone(decibels):
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) * np.float32(
        10 ** (decibels / 20)
    )
    assert speech_level(levels(tone, RATE)) == pytest.approx(decibels - 3.01, abs=0.05)


def test_pauses_do_not_count_into_the_level():
    padded = np.concatenate([VOICE, np.zeros(3 * RATE, np.float32)])
    assert speech_level(levels(padded, RATE)) == pytest.approx(speech_level(levels(VOICE, RATE)), abs=0.1)


@pytest.mark.parametrize("hertz", [90.0, 150.0, 260.0])
def test_pitch_of_a_buzz(hertz):
    t = np.arange(RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 12)).astype(np.float32) * np.float32(
        0.2
    )
    assert pitch(buzz, RATE) == pytest.approx(hertz, rel=0.005)


def test_noise_has_no_pitch():
    assert pitch(np.random.default_rng(0).normal(size=RATE).astype(np.float32) * np.float32(0.1), RATE) == 0


PYSTOI = {40: 0.9999217728, 20: 0.9907328996, 5: 0.8556119511, 0: 0.7574089835}
"""pystoi 0.4.1 on the same samples at 10 kHz"""


@pytest.mark.parametrize("decibels", PYSTOI)
def test_stoi_equals_pystoi(decibels):
    voice = babble(2.0, 10_000)
    assert stoi(voice, noise(voice, decibels), 10_000) == pytest.approx(PYSTOI[decibels], abs=1e-6)


def test_stoi_of_a_signal_with_itself_and_of_one_that_is_too_short():
    assert stoi(VOICE, VOICE, RATE) == pytest.approx(1)
    assert stoi(VOICE[:2000], VOICE[:2000], RATE) == 0


@pytest.mark.parametrize("late", [-20, -1, 0, 3, 31])
def test_a_shift_is_found_and_undone(late):
    candidate = np.pad(VOICE, (late, 0)) if late > 0 else VOICE[-late:]
    assert alignment.shift(VOICE, candidate, RATE) == late
    a, b = alignment.laid_over(VOICE, candidate, RATE)
    np.testing.assert_array_equal(a, b)


def test_a_shift_of_a_hop_is_not_undone():
    a, b = alignment.laid_over(VOICE, np.pad(VOICE, (256, 0)), RATE)
    assert np.abs(a - b).max() > 0.1


def test_log_mel_distance_of_a_gain_is_the_gain():
    a, b = spectra.log_mel(VOICE, RATE), spectra.log_mel(VOICE / 2, RATE)
    loud = a.max(axis=1) > a.max() - 20
    apart = spectra.distances(a, b)[loud]
    assert apart.max() == pytest.approx(6.02, abs=0.05)


def test_warping_forgives_the_pace_and_nothing_else():
    mel = np.repeat(spectra.log_mel(VOICE, RATE), spectra.STEP, axis=0)  # one frame in so many is looked at
    slower = np.repeat(mel, 2, axis=0)
    assert spectra.warped_distance(mel, mel) == pytest.approx(0, abs=1e-3)
    assert spectra.warped_distance(mel, slower) == pytest.approx(0, abs=1e-3)
    noisy = np.repeat(spectra.log_mel(noise(VOICE, 10), RATE), spectra.STEP, axis=0)
    assert spectra.warped_distance(mel, noisy) > 3


def test_colouring_is_blind_to_the_level_and_finds_a_lost_band():
    mel, quiet = spectra.log_mel(VOICE, RATE), spectra.log_mel(VOICE / 4, RATE)
    assert spectra.colouring([mel], [quiet]) == pytest.approx(0, abs=0.1)
    dull = mel.copy()
    dull[:, 40:44] -= 12
    assert spectra.colouring([mel], [dull]) > 5


@pytest.mark.parametrize("height", [0.1, 0.5])
def test_a_click_is_counted_once(height):
    clicked = VOICE.copy()
    clicked[RATE] += height  # between two syllables
    assert (faults.clicks(VOICE, RATE), faults.clicks(clicked, RATE)) == (0, 1)


def test_holes_are_only_in_the_middle_of_sound():
    holed = VOICE.copy()
    loud = int(np.argmax(np.convolve(np.square(VOICE), np.ones(400), "valid"))) + 100
    holed[loud : loud + 100] = 0
    padded = np.concatenate([VOICE, np.zeros(RATE, np.float32), VOICE])
    assert [faults.holes(samples, RATE) for samples in (VOICE, holed, padded)] == [0, 1, 0]


def test_the_longest_gap():
    padded = np.concatenate([np.zeros(RATE), VOICE, np.zeros(RATE // 2), VOICE, np.zeros(RATE)]).astype(
        np.float32
    )
    assert faults.longest_gap(padded, RATE) == pytest.approx(0.5, abs=0.1)


def test_clipping():
    assert faults.clipped(VOICE) < 1e-4
    assert faults.clipped(np.clip(VOICE, -0.2, 0.2)) > 0.01


@pytest.mark.parametrize(
    ("samples", "broken"),
    [
        (VOICE, False),
        (VOICE[:0], True),
        (np.zeros(RATE, np.float32), True),
        (VOICE * np.float32(1e-3), True),
        (np.where(np.arange(len(VOICE)) == 9, np.nan, VOICE), True),
        (np.where(np.arange(len(VOICE)) == 9, np.inf, VOICE), True),
    ],
)
def test_broken(samples, broken):
    assert faults.is_broken(samples.astype(np.float32), RATE) is broken


def test_a_sound_that_breaks_off():
    loud = int(np.argmax(np.convolve(np.square(VOICE), np.ones(400), "valid"))) + 300
    assert faults.cut_off(VOICE[:loud], RATE)
    assert not faults.cut_off(np.pad(VOICE, (0, 400)), RATE)
