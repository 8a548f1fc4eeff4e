"""Audio into files, while it is being made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from sonorant.audio.encoding import Encoder, seal_flac, seal_wav
from sonorant.tasks import AudioChunk, AudioFormat


def write(
    chunks: Iterable[AudioChunk], file: BinaryIO, format: AudioFormat, sample_rate: int | None
) -> float:
    """Encode chunks as they come → seconds of audio.

    A WAV or FLAC gets its true length where `file` can be read and sought, as standard output cannot.
    """
    encoder: Encoder | None = None
    seconds = 0.0
    for chunk in chunks:
        encoder = encoder or Encoder(format, chunk.sample_rate, sample_rate)
        file.write(encoder.encode(chunk.samples))
        file.flush()
        seconds += chunk.seconds
    if encoder is not None:
        file.write(encoder.finish())
        sealable = file.readable() and file.seekable()
        if sealable and format.ending == "wav":
            seal_wav(file)
        elif sealable and format is AudioFormat.FLAC:
            seal_flac(file, encoder.samples)
    return seconds
