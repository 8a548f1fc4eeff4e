"""How long an uploaded recording probably is, without decoding it."""

from __future__ import annotations

from sonorant.tasks import Upload

HEAD_BYTES = 64
COMPRESSED = 8000.0
"""bytes a second of what telephones and browsers record: 64 kbit/s"""
LOSSLESS = 30_000.0
"""of flac, speech"""
MEL = 27_600.0
"""of a mel spectrogram in a .npy file: 80 floats of 32 bits, 86 times a second"""
PLAIN = 32_000.0
"""of a wav whose header does not say: 16 bit at 16 kHz"""


def probable_seconds(upload: Upload) -> float:
    """Seconds of audio, by its size and the byte rate that its header names or its format usually has."""
    if isinstance(upload.source, bytes):
        head = upload.source[:HEAD_BYTES]
    else:
        with upload.source.open("rb") as file:
            head = file.read(HEAD_BYTES)
    return upload.size / _byte_rate(head)


def _byte_rate(head: bytes) -> float:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        # the rate follows format, channels and sample rate in the first chunk, which is "fmt " as a rule
        rate = int.from_bytes(head[28:32], "little") if head[12:16] == b"fmt " else 0
        return float(rate) or PLAIN
    if head[:6] == b"\x93NUMPY":
        return MEL
    return LOSSLESS if head[:4] == b"fLaC" else COMPRESSED
