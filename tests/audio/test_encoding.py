"""What the encoders make is decoded by ordinary decoders, from its first second on."""

import io
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sonorant.audio.encoding import Encoder, seal_flac, seal_wav
from sonorant.errors import EngineError, UnsupportedError
from sonorant.tasks import AudioFormat

G711 = (AudioFormat.MULAW, AudioFormat.ALAW)
IN_WAV = {AudioFormat.WAV_MULAW: AudioFormat.MULAW, AudioFormat.WAV_ALAW: AudioFormat.ALAW}
FRAMED = [f for f in AudioFormat if f not in (AudioFormat.PCM, *G711, *IN_WAV)]
EXACT = (AudioFormat.WAV, AudioFormat.FLAC, AudioFormat.PCM, *G711, *IN_WAV)


def chirp(rate: int, seconds: float) -> np.ndarray:
    """A sweep from 200 to 1,200 Hz, which no shift in time leaves the same."""
    t = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 * t + 1000 / (2 * seconds) * t * t))).astype(np.float32)


def encode(encoder: Encoder, samples: np.ndarray, step: int) -> bytes:
    parts = [encoder.encode(samples[i : i + step]) for i in range(0, len(samples), step)]
    return b"".join([*parts, encoder.finish()])


def decode(data: bytes) -> tuple[np.ndarray, int]:
    with av.open(io.BytesIO(data)) as container:
        rate = container.streams.audio[0].rate
        to_float = av.AudioResampler("flt", "mono", rate)
        parts = [f.to_ndarray()[0] for frame in container.decode(audio=0) for f in to_float.resample(frame)]
    return np.concatenate(parts), rate


def likeness(heard: np.ndarray, meant: np.ndarray) -> float:
    """The highest normalised cross-correlation over all shifts."""
    size = 2 ** int(np.ceil(np.log2(len(heard) + len(meant))))
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(meant, size)))
    return float(product.max() / np.linalg.norm(heard) / np.linalg.norm(meant))


@pytest.mark.parametrize("rate", [None, 8000, 12000, 16000, 24000, 48000])
@pytest.mark.parametrize("kind", FRAMED)
def test_decoders_hear_what_was_encoded(kind: AudioFormat, rate: int | None) -> None:
    encoder = Encoder(kind, 22050, rate)
    heard, heard_rate = decode(encode(encoder, chirp(22050, 2), 3000))
    assert heard_rate == (48000 if kind is AudioFormat.OPUS else encoder.sample_rate)
    assert encoder.sample_rate >= (rate or 22050)
    assert 2 <= len(heard) / heard_rate < 2.21
    assert likeness(heard, chirp(heard_rate, 2)) > 0.98


@pytest.mark.parametrize("kind", FRAMED)
def test_what_was_sent_so_far_can_be_played(kind: AudioFormat) -> None:
    encoder = Encoder(kind, 24000)
    sent = b"".join(encoder.encode(piece) for piece in np.split(chirp(24000, 1), 10))
    heard, rate = decode(sent)
    assert len(heard) / rate > 0.8


@pytest.mark.parametrize("kind", list(AudioFormat))
def test_the_bytes_do_not_depend_on_the_chunks(kind: AudioFormat) -> None:
    samples = chirp(24000, 1)
    whole = encode(Encoder(kind, 24000), samples, len(samples))
    for step in (501, 4800):
        assert encode(Encoder(kind, 24000), samples, step) == whole
    if kind in EXACT:  # and with a resampler before it
        cut, uncut = (encode(Encoder(kind, 24000, 16000), samples, step) for step in (501, 9999))
        assert cut == uncut


def test_pcm_is_24_khz_16_bit_little_endian() -> None:
    samples = np.array([0, 0.5, -0.5, 1, -1, 2, -2, 1 / 65536], np.float32)
    data = encode(Encoder(AudioFormat.PCM, 24000), samples, 3)
    assert struct.unpack("<8h", data) == (0, 16384, -16384, 32767, -32768, 32767, -32768, 0)
    assert Encoder(AudioFormat.PCM, 16000).sample_rate == 24000
    assert len(encode(Encoder(AudioFormat.PCM, 16000), chirp(16000, 1), 1000)) == 2 * 24000


def test_lossless_formats_hold_the_same_16_bit_samples() -> None:
    samples = chirp(24000, 0.5)
    pcm = np.frombuffer(encode(Encoder(AudioFormat.PCM, 24000), samples, 1000), "<i2")
    for kind in (AudioFormat.WAV, AudioFormat.FLAC):
        heard, rate = decode(encode(Encoder(kind, 24000), samples, 1000))
        assert rate == 24000
        np.testing.assert_array_equal(heard * 32768, pcm)


def test_libsndfile_reads_a_wav_of_unknown_length() -> None:
    heard, rate = soundfile.read(io.BytesIO(encode(Encoder(AudioFormat.WAV, 24000), chirp(24000, 1), 1000)))
    assert (len(heard), rate) == (24000, 24000)


def test_a_sealed_wav_states_its_length(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with path.open("w+b") as file:
        file.write(encode(Encoder(AudioFormat.WAV, 22050, 16000), chirp(22050, 1), 1000))
        seal_wav(file)
        assert file.tell() == 44 + 2 * 16000
    with wave.open(str(path)) as sealed:
        assert (sealed.getnframes(), sealed.getframerate(), sealed.getnchannels()) == (16000, 16000, 1)
    assert struct.unpack("<I", path.read_bytes()[4:8])[0] == path.stat().st_size - 8


@pytest.mark.parametrize("kind", list(AudioFormat))
def test_silence_of_no_length_is_no_error(kind: AudioFormat) -> None:
    encoder = Encoder(kind, 24000)
    assert encoder.encode(np.zeros(0, np.float32)) + encoder.finish() is not None


@pytest.mark.parametrize("kind", list(AudioFormat))
def test_nan_never_reaches_a_codec(kind: AudioFormat) -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(EngineError, match="NaN"):
            Encoder(kind, 24000).encode(np.array([0, bad], np.float32))


@pytest.mark.parametrize("kind", G711)
@pytest.mark.parametrize("rate", [None, 16000])
def test_telephones_hear_g711(kind: AudioFormat, rate: int | None) -> None:
    """A byte a sample, at 8 kHz where nobody asks; 13 to 14 bits of precision in 8."""
    encoder = Encoder(kind, 24000, rate)
    data = b"".join(encoder.encode(piece) for piece in np.split(chirp(24000, 1), 10))
    assert len(data) > 0.9 * encoder.sample_rate, "it streams"
    data += encoder.finish()
    assert (len(data), encoder.sample_rate) == (rate or 8000, rate or 8000)
    options = {"sample_rate": str(rate or 8000)}
    with av.open(io.BytesIO(data), format=kind.value, options=options) as container:
        heard = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)]) / 32768
    meant = chirp(rate or 8000, 1)
    noise = np.mean(np.square(heard - meant)[100:-100]) / np.mean(np.square(meant))
    assert 10 * np.log10(noise) < -30


@pytest.mark.parametrize(("kind", "bare"), IN_WAV.items())
@pytest.mark.parametrize("rate", [None, 16000])
def test_g711_in_a_wav_is_the_same_g711(kind: AudioFormat, bare: AudioFormat, rate: int | None) -> None:
    """Streamed, FFmpeg and libsndfile decode it to the samples that the bare bytes mean."""
    data = encode(Encoder(kind, 24000, rate), chirp(24000, 1), 1000)
    raw = encode(Encoder(bare, 24000, rate), chirp(24000, 1), 1000)
    assert data[58:] == raw
    with av.open(io.BytesIO(raw), format=bare.value, options={"sample_rate": str(rate or 8000)}) as container:
        meant = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])
    assert len(meant) == (rate or 8000)
    heard, heard_rate = decode(data)
    np.testing.assert_array_equal(heard * 32768, meant)
    assert heard_rate == (rate or 8000)
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(data), dtype="int16")[0], meant)
    assert soundfile.info(io.BytesIO(data)).subtype == ("ULAW" if bare is AudioFormat.MULAW else "ALAW")


@pytest.mark.parametrize("kind", IN_WAV)
@pytest.mark.parametrize("samples", [8000, 8001])
def test_g711_in_a_sealed_wav_states_its_length(tmp_path: Path, kind: AudioFormat, samples: int) -> None:
    path = tmp_path / "x.wav"
    with path.open("w+b") as file:
        file.write(encode(Encoder(kind, 8000), chirp(8000, samples / 8000), 1000))
        seal_wav(file)
        assert file.tell() == 58 + samples + samples % 2
    chunks, data = {}, path.read_bytes()
    place = 12
    while place < len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        chunks[name] = data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    assert (place, list(chunks)) == (len(data), [b"fmt ", b"fact", b"data"])
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    code = 7 if kind is AudioFormat.WAV_MULAW else 6
    assert struct.unpack("<HHIIHHH", chunks[b"fmt "]) == (code, 1, 8000, 8000, 1, 8, 0)
    assert struct.unpack("<I", chunks[b"fact"]) == (samples,)
    assert len(chunks[b"data"]) == soundfile.info(path).frames == samples
    assert len(decode(data)[0]) == samples


@pytest.mark.parametrize("size", [0xFFFFFFFF, 8])
def test_a_wav_of_another_layout_is_left_as_it_is(tmp_path: Path, size: int) -> None:
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    data = b"RIFF\xff\xff\xff\xffWAVE" + form + note + b"data" + struct.pack("<I", size) + bytes(8)
    (tmp_path / "x.wav").write_bytes(data)
    with (tmp_path / "x.wav").open("r+b") as file:
        seal_wav(file)
        assert file.tell() == len(data)
    assert (tmp_path / "x.wav").read_bytes() == data


@pytest.mark.parametrize("kind", list(AudioFormat))
@pytest.mark.parametrize("rate", [1, 7999, 48001, 192000])
def test_rates_that_nobody_delivers_are_refused(kind: AudioFormat, rate: int) -> None:
    with pytest.raises(UnsupportedError, match=r"8,000.* to 48,000|8,000, .*48,000") as refused:
        Encoder(kind, 24000, rate)
    assert refused.value.param == "sample_rate"


@pytest.mark.parametrize(
    ("kind", "rate", "known"),
    [
        (AudioFormat.OPUS, 44100, "8,000, 12,000, 16,000, 24,000, 48,000"),
        (AudioFormat.MP3, 20000, "16,000, 22,050, 24,000"),
        (AudioFormat.AAC, 9600, "8,000, 11,025, 12,000"),
    ],
)
def test_a_rate_that_the_format_cannot_hold_is_refused_with_those_it_can(
    kind: AudioFormat, rate: int, known: str
) -> None:
    with pytest.raises(UnsupportedError, match=known):
        Encoder(kind, 24000, rate)


def test_a_voice_whose_rate_the_codec_lacks_gets_the_next() -> None:
    assert Encoder(AudioFormat.OPUS, 22050).sample_rate == 24000
    assert Encoder(AudioFormat.MP3, 20000).sample_rate == 22050
    assert Encoder(AudioFormat.FLAC, 24000, 20001).sample_rate == 20001
    assert Encoder(AudioFormat.WAV, 96000).sample_rate == 48000


def test_a_sealed_flac_is_read_by_libsndfile(tmp_path: Path) -> None:
    encoder = Encoder(AudioFormat.FLAC, 24000, 16000)
    path = tmp_path / "sealed.flac"
    with path.open("w+b") as file:
        file.write(encoder.encode(np.zeros(24000, np.float32)) + encoder.finish())
        seal_flac(file, encoder.samples)
    samples, rate = soundfile.read(path)
    assert (len(samples), rate) == (16000, 16000)
