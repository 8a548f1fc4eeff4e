"""Audio → the bytes of wav, pcm, mp3, opus, aac, flac or G.711, while it is still being made."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, Protocol, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from sonorant.audio.resample import Resampler
from sonorant.errors import EngineError, UnsupportedError
from sonorant.tasks import AudioFormat

RATES = range(8_000, 48_001)  # hertz: what may be asked for

_UNKNOWN = 0xFFFFFFFF  # the size of a WAV that is still being written, as FFmpeg and sox read it
_WAV = struct.Struct("<4sI4s4sIHHIIHH4sI")


@dataclass(frozen=True, slots=True)
class _Codec:
    """How FFmpeg makes one of our formats."""

    muxer: str
    encoder: str
    sample_format: str
    bit_rate: int | None = None
    """bits a second; None = it follows from the rate"""
    rates: tuple[int, ...] | None = None
    """hertz that the codec knows, ascending; None = any"""
    options: dict[str, str] = field(default_factory=dict)
    """of the muxer"""


_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_CODECS = {
    # A Xing header would have to be filled in at the end, which a stream cannot.
    AudioFormat.MP3: _Codec(
        "mp3", "libmp3lame", "fltp", 96_000, _MPEG_RATES, {"write_xing": "0", "id3v2_version": "0"}
    ),
    # One page a packet of 20 ms; by default a page waits for a whole second.
    AudioFormat.OPUS: _Codec(
        "ogg", "libopus", "flt", 64_000, (8_000, 12_000, 16_000, 24_000, 48_000), {"page_duration": "20000"}
    ),
    AudioFormat.AAC: _Codec("adts", "aac", "fltp", 96_000, _MPEG_RATES),
    AudioFormat.FLAC: _Codec("flac", "flac", "s16"),
    AudioFormat.MULAW: _Codec("mulaw", "pcm_mulaw", "s16"),
    AudioFormat.ALAW: _Codec("alaw", "pcm_alaw", "s16"),
}


def output_rate(format: AudioFormat, input_rate: int, asked: int | None = None) -> int:
    """Hertz at which audio of `input_rate` is delivered.

    Nobody asked: the format's usual rate, or the input's; where the codec does not know that one, the next
    higher. Raises UnsupportedError for a rate that was asked for and that the format cannot hold.
    """
    codec = _CODECS.get(format)
    rates = codec.rates if codec and codec.rates else RATES
    if asked is None:
        natural = format.sample_rate or input_rate
        return natural if natural in rates else next((r for r in rates if r > natural), rates[-1])
    if asked not in rates:
        raise UnsupportedError(
            f"{format} cannot be delivered at {asked:,} Hz",
            remedy=f"Ask for {RATES[0]:,} to {RATES[-1]:,} Hz"
            if rates is RATES
            else f"Ask for {', '.join(f'{rate:,}' for rate in rates)} Hz",
            param="sample_rate",
        )
    return asked


class _Writer(Protocol):
    """Samples at the final rate → bytes."""

    def write(self, samples: NDArray[np.float32]) -> bytes: ...

    def finish(self) -> bytes: ...


class Encoder:
    """One stream's encoder: feed it audio as it is made, send on the bytes that come out.

    The bytes of all calls, in order, are one file. wav and pcm are signed 16 bit little endian, flac is
    16 bit, mulaw and alaw are G.711; their bytes do not depend on how the audio was cut. mp3, opus and aac
    delay it by one or two codec frames (20–70 ms). A wav says "unknown" where its sizes belong; `seal_wav`
    mends that in a file.
    """

    def __init__(self, format: AudioFormat, input_rate: int, asked_rate: int | None = None) -> None:
        """Rates in hertz; see `output_rate`. `sample_rate` tells which it is.

        Raises UnsupportedError for a rate that the format cannot hold.
        """
        rate = output_rate(format, input_rate, asked_rate)
        codec = _CODECS.get(format)
        self.format = format
        self.sample_rate = rate
        self.samples = 0
        """encoded so far, at `sample_rate`"""
        self._resampler = Resampler(input_rate, rate)
        self._writer: _Writer = (
            _CodecWriter(codec, rate)
            if codec
            else _PcmWriter(_wav_header(rate, _UNKNOWN) if format is AudioFormat.WAV else b"")
        )

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """float32 [n] in [-1, 1] at the input rate → the bytes that are ready, perhaps none.

        What lies outside [-1, 1] is clipped. Raises EngineError for NaN and infinity: no codec may get these.
        """
        if not np.isfinite(samples).all():
            raise EngineError(
                "The network produced NaN or infinity instead of audio",
                why="Its weights or its precision do not suit the engine",
                remedy="Run `sonorant show` on the model, or use its fp32 form",
            )
        return self._write(self._resampler.process(samples))

    def finish(self) -> bytes:
        """The last bytes: what resampler and codec still held. Nothing may be encoded afterwards."""
        return self._write(self._resampler.flush()) + self._writer.finish()

    def _write(self, samples: NDArray[np.float32]) -> bytes:
        self.samples += len(samples)
        return self._writer.write(np.clip(samples, -1, 1))


def seal_wav(file: BinaryIO) -> None:
    """Write the true sizes into the header of a finished WAV of `Encoder`'s, in a seekable file."""
    size = file.seek(0, 2)
    file.seek(24)
    (rate,) = struct.unpack("<I", file.read(4))
    file.seek(0)
    file.write(_wav_header(rate, min(size - _WAV.size, _UNKNOWN)))
    file.seek(0, 2)


def seal_flac(file: BinaryIO, samples: int) -> None:
    """Write the number of samples into the STREAMINFO of a finished FLAC, in a seekable file.

    libsndfile does not read a FLAC that leaves it open. Source: RFC 9639, 8.2: the last 36 of the 64 bits
    that begin 10 bytes into the block, which itself begins at byte 8.
    """
    file.seek(18)
    (fields,) = struct.unpack(">Q", file.read(8))
    file.seek(18)
    file.write(struct.pack(">Q", fields >> 36 << 36 | min(samples, (1 << 36) - 1)))
    file.seek(0, 2)


def _wav_header(rate: int, data_size: int) -> bytes:
    riff_size = min(data_size + _WAV.size - 8, _UNKNOWN)
    form = (16, 1, 1, rate, 2 * rate, 2, 16)  # integer PCM, one channel, 16 bit
    return _WAV.pack(b"RIFF", riff_size, b"WAVE", b"fmt ", *form, b"data", data_size)


def _int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")


class _PcmWriter:
    def __init__(self, header: bytes) -> None:
        self._header = header

    def write(self, samples: NDArray[np.float32]) -> bytes:
        header, self._header = self._header, b""
        return header + _int16(samples).tobytes()

    def finish(self) -> bytes:
        return b""


class _CodecWriter:
    def __init__(self, codec: _Codec, rate: int) -> None:
        self._sink = _Sink()
        # bitexact: no encoder version and no random stream number; the same audio gives the same bytes
        options = {"flush_packets": "1", "fflags": "+bitexact"} | codec.options
        self._container = av.open(self._sink, "w", format=codec.muxer, options=options)
        self._stream = cast(AudioStream, self._container.add_stream(codec.encoder, rate=rate))
        self._stream.codec_context.layout = "mono"
        self._stream.codec_context.format = codec.sample_format
        self._stream.codec_context.thread_count = 1
        if codec.bit_rate:
            self._stream.codec_context.bit_rate = codec.bit_rate
        self._integers = codec.sample_format == "s16"
        self._rate = rate
        self._written = 0

    def write(self, samples: NDArray[np.float32]) -> bytes:
        if len(samples):
            frame = av.AudioFrame.from_ndarray(
                (_int16(samples) if self._integers else samples)[np.newaxis],
                format="s16" if self._integers else "flt",
                layout="mono",
            )
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._written, Fraction(1, self._rate)
            self._written += len(samples)
            self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        if self._written:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()


class _Sink:
    """Where FFmpeg writes: no seeking, so the muxers know that what is written is gone."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
