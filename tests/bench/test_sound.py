"""Audio counted and its first sound found, however the bytes are cut."""

import struct

import numpy as np
import pytest

from sonorant.bench.sound import Bytes, NotAudioError, Onset


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 3, 7, 44, 1000, 10**9])
def test_wav(wire, size):
    audio = Bytes()
    data = wire.wav_header() + wire.silence(0.25) + wire.tone(0.5)
    assert sum(audio.feed(piece) for piece in pieces(data, size)) == pytest.approx(0.75)
    assert audio.onset.seconds == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("size", [1, 3, 10**9])
def test_pcm(wire, size):
    audio = Bytes(wire.RATE)
    assert sum(audio.feed(piece) for piece in pieces(wire.tone(0.5), size)) == pytest.approx(0.5)
    assert audio.onset.seconds == 0.0


def test_two_channels_are_not_twice_as_long(wire):
    audio = Bytes()
    assert audio.feed(wire.wav_header(channels=2) + wire.silence(0.5) + wire.tone(0.5)) == pytest.approx(0.5)
    assert audio.onset.seconds == pytest.approx(0.25, abs=0.005)


def test_what_comes_before_and_behind_the_audio_is_none(wire):
    data = wire.tone(0.25)
    header = wire.wav_header(len(data))
    listed = header[:36] + b"LIST" + struct.pack("<I", 5) + b"abcde\0" + header[36:]
    assert Bytes().feed(listed + data + b"LIST" + wire.tone(0.25)) == pytest.approx(0.25)


def test_a_header_alone_is_no_audio(wire):
    audio = Bytes()
    assert audio.feed(wire.wav_header()) == 0
    assert audio.onset.seconds is None


@pytest.mark.parametrize("data", [b"ID3\x04", b"RIFF\0\0\0\0AVI LIST", b'{"error": 1}'])
def test_what_is_no_wav(data):
    with pytest.raises(NotAudioError, match="no wav begins with"):
        Bytes().feed(data)


def test_a_wav_of_another_kind_or_without_data(wire):
    with pytest.raises(NotAudioError, match="24 bits"):
        Bytes().feed(wire.wav_header(bits=24))
    with pytest.raises(NotAudioError, match="no format"):
        Bytes().feed(b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xff")
    with pytest.raises(NotAudioError, match="64 KiB"):
        Bytes().feed(b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x00")


@pytest.mark.parametrize(("decibels", "sounds"), [(-35, True), (-45, False)])
def test_how_loud_sound_is(decibels, sounds):
    """40 dB below full scale, RMS."""
    onset = Onset()
    t = np.arange(16_000) / 16_000
    onset.feed((np.sin(2 * np.pi * 400 * t) * np.sqrt(2) * 10 ** (decibels / 20)).astype(np.float32), 16_000)
    assert (onset.seconds is not None) is sounds


def test_a_click_of_one_sample_is_no_sound():
    onset = Onset()
    samples = np.zeros(1600, np.float32)
    samples[800] = 0.05
    onset.feed(samples, 16_000)
    assert onset.seconds is None
