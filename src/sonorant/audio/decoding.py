"""Bytes that nobody vouches for → one-channel float32 audio, by FFmpeg (PyAV).

This runs inside a disposable child process, see `sandbox`. Containers and codecs are the ones listed
here and no others: FFmpeg opens files and addresses that a playlist names (m3u8, concat, dash, sdp),
so these are not on the list, and no protocol is either.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from sonorant.audio.resample import Resampler
from sonorant.errors import AudioError, LimitError

MIN_SECONDS = 0.08  # shorter audio is padded: the front ends of recognisers want a few frames

READABLE = "wav, mp3, flac, ogg, opus, m4a, mp4, webm, mkv, aac, amr, aiff, caf, au, wma, mpeg and mpegts"
"""what we read, in a user's words"""

# FFmpeg's names of demuxers. The second list's state no length: FFmpeg guesses it from the bit rate.
_DECLARING = (
    "wav", "w64", "flac", "ogg", "mov", "mp4", "m4a", "3gp", "matroska", "webm", "aiff", "caf", "au", "asf",
)  # fmt: skip
_GUESSED = ("mp3", "aac", "amr", "mpegts", "mpeg")

# Telephony recordings without a header, 8 kHz; only the ending of the name tells what they are.
_HEADERLESS = {".ulaw": "mulaw", ".ul": "mulaw", ".mulaw": "mulaw", ".alaw": "alaw", ".al": "alaw"}

# FFmpeg's names of decoders.
_CODECS = frozenset((
    "aac", "aac_latm", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "alac", "amrnb", "amrwb", "eac3",
    "flac", "g722", "g726", "g726le", "gsm", "gsm_ms", "mp1", "mp1float", "mp2", "mp2float", "mp3",
    "mp3float", "opus", "speex", "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "pcm_alaw",
    "pcm_bluray", "pcm_dvd", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be",
    "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_s8", "pcm_u16be", "pcm_u16le",
    "pcm_u8",
))  # fmt: skip
_RATES = range(1_000, 768_001)  # hertz
_CHANNELS = range(1, 65)


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted of one upload."""

    name: str
    """what the sender called it; only its ending is looked at, for headerless G.711"""
    sample_rate: int
    """of the output, hertz"""
    max_seconds: float
    """longer audio is a LimitError"""
    chunk_seconds: float
    """of what comes out, but for the end"""


def decode(file: BinaryIO, job: Job) -> Iterator[NDArray[np.float32]]:
    """Decode the first audio stream of `file`, mixed down to one channel (the mean of all).

    Yields float32 [n] in [-1, 1] at `job.sample_rate`, each `job.chunk_seconds` long but for the end;
    MIN_SECONDS altogether at least, zeros being added where needed. Samples that are NaN or infinite
    become 0. Damaged packets are skipped, and a file that breaks off yields what it holds, as in players.
    Raises AudioError for what is not audio or holds none, LimitError for what is too long (at once where
    the container states its length, otherwise when the limit is reached).
    """
    with _open(file, job.name) as container:
        yield from conformed(_mixed(_frames(container, job), job), job)


def conformed(pieces: Iterator[tuple[NDArray[np.float32], int]], job: Job) -> Iterator[NDArray[np.float32]]:
    """One channel at whatever rates, float32 [n] and hertz each → what `decode` yields.

    Raises AudioError where there is not one sample.
    """
    samples = 0
    size = max(1, round(job.chunk_seconds * job.sample_rate))
    for chunk in _cut(_resampled(pieces, job.sample_rate), size):
        samples += len(chunk)
        yield np.clip(chunk, -1, 1)
    if not samples:
        raise AudioError("The file holds no audio", why="Not one sample of it could be decoded", param="file")
    missing = round(MIN_SECONDS * job.sample_rate) - samples
    if missing > 0:
        yield np.zeros(missing, np.float32)


def length(path: Path) -> float | None:
    """Seconds of audio as the container states them or FFmpeg guesses; None where nothing is known.

    For the progress bar on a user's own file: uploads are never opened outside the sandbox.
    """
    try:
        with path.open("rb") as file, _open(file, path.name) as container:
            return container.duration / av.time_base if container.duration else None
    except (AudioError, OSError):
        return None


def _open(file: BinaryIO, name: str) -> InputContainer:
    options = {
        "format_whitelist": ",".join(_DECLARING + _GUESSED),
        "codec_whitelist": ",".join(sorted(_CODECS)),
        "protocol_whitelist": "",
    }
    magic = file.read(12)
    file.seek(0)
    kind = None
    if headerless := _HEADERLESS.get(PurePath(name).suffix.lower()):
        kind = headerless
        options |= {"format_whitelist": kind, "sample_rate": "8000"}
    elif magic[:4] in (b"RIFF", b"RF64") and magic[8:] == b"WAVE":
        # The header of a WAV says all. FFmpeg would spend 3.5 ms on looking for DTS inside its PCM.
        kind = "wav"
        options |= {"probesize": "4096", "max_size": "32768"}
    try:
        return av.open(file, "r", format=kind, container_options=options, metadata_errors="ignore")
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(
            "The file is not audio that can be read, or is damaged at its start",
            remedy=f"Send one of {READABLE}",
            param="file",
        ) from error


def _frames(container: InputContainer, job: Job) -> Iterator[av.AudioFrame]:
    if not container.streams.audio:
        raise AudioError("The file holds no audio", why="It has no audio stream", param="file")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    if codec is None or codec.name not in _CODECS:
        raise AudioError(
            "The codec of the audio is not read here",
            why=f"Its codec is {codec.name if codec else 'unknown'}",
            remedy=f"Send one of {READABLE}",
            param="file",
        )
    declares = any(name in _DECLARING for name in container.format.name.split(","))
    if declares and (container.duration or 0) / av.time_base > job.max_seconds + 1:
        raise too_long(job)
    codec.thread_count = 1
    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            return
        except MemoryError:
            raise
        except av.FFmpegError:
            continue  # a damaged packet is skipped; a damaged container has ended `packets`
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                yield frame


def _mixed(frames: Iterator[av.AudioFrame], job: Job) -> Iterator[tuple[NDArray[np.float32], int]]:
    """One channel, in pieces of about `job.chunk_seconds`, each with its sample rate in hertz."""
    held: list[NDArray[np.float32]] = []
    held_samples = rate = 0
    seconds = 0.0
    for frame in frames:
        channels = len(frame.layout.channels)
        if not plausible(frame.sample_rate, channels):
            raise AudioError(
                f"The audio claims {channels} channels at {frame.sample_rate} Hz",
                why=f"At most {_CHANNELS[-1]} at {_RATES[0]:,} to {_RATES[-1]:,} Hz are read",
                remedy="Check the file: it may be damaged",
                param="file",
            )
        if held and (frame.sample_rate != rate or held_samples >= job.chunk_seconds * rate):
            yield np.concatenate(held), rate
            held, held_samples = [], 0
        rate = frame.sample_rate
        seconds += frame.samples / rate
        if seconds > job.max_seconds:
            raise too_long(job)
        held.append(_mono(frame, channels))
        held_samples += frame.samples
    if held:
        yield np.concatenate(held), rate


def _mono(frame: av.AudioFrame, channels: int) -> NDArray[np.float32]:
    samples = frame.to_ndarray()  # planar: [channels, n]; packed: [1, n · channels]
    if not frame.format.is_planar:
        samples = samples.reshape(-1, channels).T
    scaled: NDArray[np.float32] = samples.astype(np.float32)
    if samples.dtype.kind == "f":
        np.clip(np.nan_to_num(scaled, copy=False, nan=0, posinf=0, neginf=0), -1, 1, out=scaled)
    elif samples.dtype.kind == "u":
        scaled -= 128  # FFmpeg's only unsigned format is u8
        scaled /= 128
    else:
        scaled /= 2 ** (8 * samples.dtype.itemsize - 1)
    mono: NDArray[np.float32] = scaled[0] if channels == 1 else scaled.mean(axis=0)
    return mono


def _resampled(pieces: Iterator[tuple[NDArray[np.float32], int]], rate: int) -> Iterator[NDArray[np.float32]]:
    resampler: Resampler | None = None
    for samples, input_rate in pieces:
        if resampler is None or resampler.input_rate != input_rate:  # chained files may change it midway
            if resampler is not None:
                yield resampler.flush()
            resampler = Resampler(input_rate, rate)
        yield resampler.process(samples)
    if resampler is not None:
        yield resampler.flush()


def _cut(pieces: Iterator[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """The same samples in chunks of `size`; the last may be shorter."""
    held = np.zeros(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece]) if len(held) else piece
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield held


def plausible(rate: int, channels: int) -> bool:
    """Whether audio may claim such a sample rate (hertz) and so many channels."""
    return rate in _RATES and channels in _CHANNELS


def too_long(job: Job) -> LimitError:
    return LimitError(
        f"The audio is longer than {job.max_seconds:g} seconds",
        remedy="Send it in parts, or have the operator raise limits.audio_seconds",
        param="file",
    )


def warm_up() -> None:
    """Go once through everything that is loaded or built at first use."""
    wav = (
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0\0\xee\x02\0\x04\0\x10\0"
        b"data\xff\xff\xff\xff" + bytes(96_000)
    )  # half a second of silence, two channels at 48 kHz
    job = Job(name="", sample_rate=16000, max_seconds=1, chunk_seconds=1)
    for _ in decode(io.BytesIO(wav), job):
        continue
    try:
        next(decode(io.BytesIO(b"not audio"), job))
    except AudioError:
        return
