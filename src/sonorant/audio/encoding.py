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
_WAV_CODES = {AudioFormat.WAV: 1, AudioFormat.WAV_ALAW: 6, AudioFormat.WAV_MULAW: 7}
"""what a WAV calls its codec (RFC 2361)"""
_PCM_HEADER, _G711_HEADER = 44, 58
"""bytes before the first sample"""
_UNENDED = struct.pack("<4sI", b"data", _UNKNOWN)


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
    # behind our own header: FFmpeg leaves `fact` out where it cannot seek
    AudioFormat.WAV_MULAW: _Codec("mulaw", "pcm_mulaw", "s16"),
    AudioFormat.WAV_ALAW: _Codec("alaw", "pcm_alaw", "s16"),
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
    16 bit, mulaw and alaw are G.711, in a WAV too; their bytes do not depend on how the audio was cut. mp3,
    opus and aac delay it by one or two codec frames (20–70 ms). A WAV says "unknown" where its sizes belong;
    `seal_wav` mends that in a file.
    """

    def __init__(self, format: AudioFormat, input_rate: int, asked_rate: int | None = None) -> None:
        """Rates in hertz; see `output_rate`. `sample_rate` tells which it is.

        Raises UnsupportedError for a rate that the format cannot hold.
        """
        rate = output_rate(format, input_rate, asked_rate)
        codec = _CODECS.get(format)
        self.sample_rate = rate
        self.samples = 0
        """encoded so far, at `sample_rate`"""
        self._resampler = Resampler(input_rate, rate)
        self._writer: _Writer = _CodecWriter(codec, rate) if codec else _PcmWriter()
        self._header = _wav_header(_WAV_CODES[format], rate) if format in _WAV_CODES else b""

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
        header, self._header = self._header, b""
        return header + self._writer.write(np.clip(samples, -1, 1))


def seal_wav(file: BinaryIO) -> None:
    """Write the true sizes into the header of a finished WAV of `Encoder`'s, in a seekable file.

    Another's is left as it is: its header may be laid out differently.
    """
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(_G711_HEADER)
    file.seek(end)
    begin = next((n for n in (_PCM_HEADER, _G711_HEADER) if head[n - 8 : n] == _UNENDED), None)
    if begin is None:
        return
    file.write(bytes(end % 2))  # RIFF: so that the next chunk would begin at an even place
    sizes = {4: end + end % 2 - 8, begin - 4: end - begin}
    if begin == _G711_HEADER:
        sizes[46] = end - begin  # in `fact`
    for place, size in sizes.items():
        file.seek(place)
        file.write(struct.pack("<I", min(size, _UNKNOWN)))
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


def _wav_header(code: int, rate: int) -> bytes:
    """Of one channel and unknown length: 16 bit PCM, or G.711, which needs a `fact`, the number of samples.

    That is 0 as long as it is unknown: FFmpeg takes anything else for the true length.
    """
    pcm = code == _WAV_CODES[AudioFormat.WAV]
    width = 2 if pcm else 1
    form = struct.pack("<HHIIHH", code, 1, rate, width * rate, width, 8 * width) + (b"" if pcm else bytes(2))
    fact = b"" if pcm else b"fact" + struct.pack("<II", 4, 0)
    begin = struct.pack("<4sI8sI", b"RIFF", _UNKNOWN, b"WAVEfmt ", len(form))
    return begin + form + fact + _UNENDED


def _int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")


class _PcmWriter:
    def write(self, samples: NDArray[np.float32]) -> bytes:
        return _int16(samples).tobytes()

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
