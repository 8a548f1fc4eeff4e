"""Plain PCM is read without a decoder, to the same samples; anything odd is left to FFmpeg."""

import asyncio
import io
import struct
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from sonorant.audio import decoding, wav
from sonorant.audio.sandbox import Sandbox
from sonorant.errors import AudioError, LimitError
from sonorant.tasks import Upload

JOB = decoding.Job("x.wav", 16_000, 60, 0.5)


def pcm(rate: int = 16_000, channels: int = 1, seconds: float = 2.3) -> bytes:
    samples = np.random.default_rng(1).uniform(-1, 1, (round(rate * seconds), channels))
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def header(
    *,
    kind: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    size: int = 4,
    data: bytes = b"abcd",
) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_the_same_samples_as_ffmpeg(rate: int, channels: int) -> None:
    data = pcm(rate, channels)
    ours = wav.decode(io.BytesIO(data), JOB)
    assert ours is not None or channels == 6  # libsndfile writes six channels as "extensible"
    if ours is not None:
        theirs = np.concatenate(list(decoding.decode(io.BytesIO(data), JOB)))
        np.testing.assert_allclose(np.concatenate(list(ours)), theirs, atol=1e-6)


def test_chunks_before_the_samples_are_passed_over() -> None:
    data = bytearray(pcm())
    note = b"LIST" + struct.pack("<I", 5) + b"note!\0"
    data[12:12] = note
    plain = wav.decode(io.BytesIO(bytes(data)), JOB)
    assert plain is not None
    assert sum(map(len, plain)) == round(2.3 * 16_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"not audio at all, but long enough",
        pcm()[:1000],  # breaks off
        header(kind=3),
        header(bits=24),
        header(kind=0xFFFE),
        header(channels=0),
        header(channels=65),
        header(rate=0),
        header(rate=4_000_000_000),
        header(size=0xFFFFFFFF),
        b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 100 + header()[12:],
        header()[:12] + header()[36:],  # samples without a format
    ],
)
def test_what_is_not_plain_is_left_to_ffmpeg(data: bytes) -> None:
    assert wav.decode(io.BytesIO(data), JOB) is None


def test_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitError, match="longer than 2 seconds"):
        wav.decode(io.BytesIO(pcm()), decoding.Job("", 16_000, 2, 0.5))


def test_no_samples_is_no_audio() -> None:
    chunks = wav.decode(io.BytesIO(header(size=0, data=b"")), JOB)
    assert chunks is not None
    with pytest.raises(AudioError, match="no audio"):
        list(chunks)


def test_a_short_one_is_padded() -> None:
    chunks = wav.decode(io.BytesIO(header()), JOB)
    assert chunks is not None
    assert sum(map(len, chunks)) == 1280


def test_no_process_is_started_for_it(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(pcm())

    async def main() -> None:
        sandbox = Sandbox()
        for source in (pcm(), tmp_path / "a.wav"):
            chunks = [c async for c in sandbox.decode(Upload(source, "a.wav"), max_seconds=60)]
            assert sum(len(c.samples) for c in chunks) == round(2.3 * 16_000)
        assert not psutil.Process().children()

    asyncio.run(main())
