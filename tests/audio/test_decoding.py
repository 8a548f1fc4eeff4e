"""Audio of every kind we name comes out with its length and its pitch."""

import io
import struct

import av
import numpy as np
import pytest
import soundfile

from sonorant.audio.decoding import Job, decode
from sonorant.audio.encoding import Encoder
from sonorant.errors import AudioError, LimitError
from sonorant.tasks import AudioFormat

SECONDS, HERTZ = 1.5, 440.0


def tone(rate: int, seconds: float = SECONDS) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * HERTZ * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def by_soundfile(kind: str, subtype: str, rate: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    samples = np.repeat(tone(rate)[:, None], channels, axis=1)
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def by_av(muxer: str, encoder: str, rate: int, layout: str = "mono") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        stream = container.add_stream(encoder, rate=rate)
        stream.codec_context.layout = layout
        if encoder == "wmav2":
            stream.codec_context.bit_rate = 128_000
        samples = np.repeat(tone(rate)[None], stream.codec_context.layout.nb_channels, axis=0)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def heard(data: bytes, name: str = "", sample_rate: int = 16000, max_seconds: float = 60) -> np.ndarray:
    chunks = list(decode(io.BytesIO(data), Job(name, sample_rate, max_seconds, 0.5)))
    assert all(c.dtype == np.float32 for c in chunks)
    assert all(len(c) == sample_rate // 2 for c in chunks[:-2])
    return np.concatenate(chunks)


def pitch(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum) * rate / (1 << 18))


def check(samples: np.ndarray, rate: int = 16000, slack: float = 0.0, level: float = 0.5) -> None:
    assert SECONDS - min(slack, 0.02) - 0.001 <= len(samples) / rate <= SECONDS + slack + 0.001
    assert pitch(samples, rate) == pytest.approx(HERTZ, abs=1)
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    assert np.abs(middle).max() == pytest.approx(level, rel=0.1)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
)
def test_wav(subtype: str, rate: int) -> None:
    check(heard(by_soundfile("WAV", subtype, rate)))


@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_channels_are_averaged(kind: str, channels: int) -> None:
    check(heard(by_soundfile(kind, "PCM_16", 16000, channels)))
    left = np.stack([tone(16000), np.zeros(24000, np.float32)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, left, 16000, format=kind, subtype="PCM_16")
    check(heard(file.getvalue()), level=0.25)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [
        ("AIFF", "PCM_16", 22050),
        ("AU", "PCM_16", 16000),
        ("AU", "ULAW", 8000),
        ("CAF", "PCM_16", 44100),
        ("W64", "PCM_16", 16000),
        ("RF64", "PCM_16", 16000),
        ("FLAC", "PCM_24", 48000),
        ("OGG", "VORBIS", 44100),
        ("OGG", "OPUS", 48000),
        ("MP3", "MPEG_LAYER_III", 44100),
        ("WAV", "MS_ADPCM", 22050),
        ("WAV", "IMA_ADPCM", 22050),
        ("WAV", "GSM610", 8000),
        ("WAVEX", "PCM_16", 16000),
    ],
)
def test_what_libsndfile_writes(kind: str, subtype: str, rate: int) -> None:
    check(heard(by_soundfile(kind, subtype, rate)), slack=0.06)


@pytest.mark.parametrize(
    ("muxer", "encoder", "rate", "layout"),
    [
        ("mp3", "libmp3lame", 44100, "stereo"),
        ("mp3", "libmp3lame", 16000, "mono"),
        ("adts", "aac", 44100, "mono"),
        ("ipod", "aac", 44100, "stereo"),
        ("mp4", "aac", 48000, "5.1"),
        ("ipod", "alac", 44100, "mono"),
        ("mov", "pcm_s16le", 44100, "mono"),
        ("webm", "libopus", 48000, "mono"),
        ("matroska", "flac", 44100, "stereo"),
        ("matroska", "pcm_s16le", 16000, "mono"),
        ("amr", "libopencore_amrnb", 8000, "mono"),
        ("3gp", "libopencore_amrnb", 8000, "mono"),
        ("asf", "wmav2", 44100, "stereo"),
        ("mpegts", "aac", 44100, "mono"),
        ("mpeg", "mp2", 44100, "stereo"),
        ("wav", "libmp3lame", 44100, "mono"),
        ("ogg", "flac", 16000, "mono"),
    ],
)
def test_what_ffmpeg_writes(muxer: str, encoder: str, rate: int, layout: str) -> None:
    if encoder not in av.codec.codecs_available:
        pytest.skip(f"this FFmpeg has no {encoder}")
    # AAC keeps little of a low-frequency channel: 5.1 counts a little less than all six
    check(heard(by_av(muxer, encoder, rate, layout)), slack=0.15, level=0.42 if layout == "5.1" else 0.5)


@pytest.mark.parametrize(
    ("codec", "endings"), [("pcm_mulaw", (".ulaw", ".UL")), ("pcm_alaw", (".alaw", ".al"))]
)
def test_headerless_g711_is_known_by_its_name(codec: str, endings: tuple[str, str]) -> None:
    raw = by_av(codec.removeprefix("pcm_"), codec, 8000)
    assert len(raw) == 8000 * SECONDS
    for ending in endings:
        check(heard(raw, f"call.2024{ending}"))


@pytest.mark.parametrize("kind", [AudioFormat.WAV, AudioFormat.WAV_MULAW, AudioFormat.WAV_ALAW])
def test_a_wav_whose_length_was_never_written(kind: AudioFormat) -> None:
    encoder = Encoder(kind, 8000)
    check(heard(encoder.encode(tone(8000)) + encoder.finish()))


@pytest.mark.parametrize("sample_rate", [8000, 16000, 24000, 48000])
def test_any_rate_can_be_asked_for(sample_rate: int) -> None:
    check(heard(by_soundfile("WAV", "PCM_16", 44100), sample_rate=sample_rate), sample_rate)


def test_the_content_decides_not_the_name() -> None:
    check(heard(by_soundfile("MP3", "MPEG_LAYER_III", 44100), "speech.wav"), slack=0.06)
    check(heard(by_soundfile("WAV", "PCM_16", 16000), "speech.mp3"))


def test_16_bit_samples_come_out_exactly() -> None:
    meant = np.random.default_rng(0).integers(-32768, 32768, 20_000, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, meant, 16000, format="WAV", subtype="PCM_16")
    np.testing.assert_array_equal(heard(file.getvalue()), meant.astype(np.float32) / 32768)


def test_samples_are_finite_and_within_range() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 3.0, -3.0, 1e38] * 1000, np.float32)
    for rate in (16000, 44100):
        file = io.BytesIO()
        soundfile.write(file, odd, rate, format="WAV", subtype="FLOAT")
        samples = heard(file.getvalue())
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1
    file = io.BytesIO()
    soundfile.write(file, odd[:6], 16000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(heard(file.getvalue())[:6], np.array([0, 0, 0, 1, -1, 1], np.float32))


def test_short_audio_is_padded_to_80_ms() -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(16000, 0.01), 16000, format="WAV", subtype="PCM_16")
    samples = heard(file.getvalue())
    assert len(samples) == 1280
    assert np.abs(samples[:160]).max() > 0.4
    assert not samples[160:].any()


def test_a_wav_of_unknown_or_wrong_length_is_read_to_its_end() -> None:
    wav = bytearray(by_soundfile("WAV", "PCM_16", 16000))
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 10**6):
        wav[40:44] = struct.pack("<I", size)
        check(heard(bytes(wav)))


@pytest.mark.parametrize(
    ("muxer", "encoder"),
    [("wav", "pcm_s16le"), ("flac", "flac"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("matroska", "aac")],
)
def test_a_file_that_breaks_off_yields_what_it_holds(muxer: str, encoder: str) -> None:
    whole = by_av(muxer, encoder, 48000)
    samples = heard(whole[: len(whole) * 2 // 3])
    assert 0.4 < len(samples) / 16000 < 1.3
    assert pitch(samples, 16000) == pytest.approx(HERTZ, abs=2)


def test_damage_in_the_middle_is_skipped() -> None:
    mp3 = bytearray(by_soundfile("MP3", "MPEG_LAYER_III", 44100))
    mp3[len(mp3) // 2 : len(mp3) // 2 + 500] = bytes(500)
    assert len(heard(bytes(mp3))) / 16000 > 1.2


def test_too_long_is_refused_before_or_at_the_limit() -> None:
    stated = by_soundfile("WAV", "PCM_16", 16000)
    job = Job("", 16000, 0.2, 0.1)
    with pytest.raises(LimitError, match=r"longer than 0\.2 seconds"):
        next(decode(io.BytesIO(stated), job))
    chunks = []
    with pytest.raises(LimitError):
        chunks.extend(decode(io.BytesIO(by_soundfile("MP3", "MPEG_LAYER_III", 44100)), job))
    assert len(heard(stated, max_seconds=SECONDS)) == 24000


def video_only() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode(None))
    return file.getvalue()


WAV_HEADER = by_soundfile("WAV", "PCM_16", 16000)[:44]


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF",
        WAV_HEADER[:30],
        b"<html><body>404</body></html>",
        bytes(50_000),
        b"hello " * 3000,
        np.random.default_rng(1).bytes(100_000),
        b"ID3\x04" + bytes(5),
        b"OggS" + bytes(99),
        b"fLaC" + bytes(9),
    ],
    ids=["magic", "half a header", "html", "zeros", "text", "noise", "id3", "ogg", "flac"],
)
def test_what_is_not_audio_is_refused(data: bytes) -> None:
    with pytest.raises(AudioError):
        heard(data)


def test_not_audio_names_what_is_read() -> None:
    with pytest.raises(AudioError, match=r"Send one of wav, mp3, flac"):
        heard(b"<html></html>")


@pytest.mark.parametrize("data", [WAV_HEADER, video_only()], ids=["no samples", "video only"])
def test_no_audio_inside_is_said(data: bytes) -> None:
    with pytest.raises(AudioError, match="holds no audio"):
        heard(data)


def test_a_video_with_sound_is_heard() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        video, audio = container.add_stream("mpeg4", rate=10), container.add_stream("aac", rate=16000)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio.codec_context.layout = "mono"
        for _ in range(15):
            container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(tone(16000)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))
    check(heard(file.getvalue()), slack=0.13)


@pytest.mark.parametrize(("channels", "rate"), [(1, 500), (1, 2_000_000), (200, 16000)])
def test_absurd_streams_are_refused(channels: int, rate: int) -> None:
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        0xFFFFFFFF,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate,
        rate * channels * 2 % 2**32,
        channels * 2 % 2**16,
        16,
        b"data",
        0xFFFFFFFF,
    )
    with pytest.raises(AudioError):
        heard(head + bytes(40_000))
