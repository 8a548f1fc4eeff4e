"""The formats in which spoken audio is delivered."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from sonorant.errors import RequestError


class AudioFormat(StrEnum):
    """How spoken audio is delivered: OpenAI's `response_format` names."""

    WAV = "wav"
    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    PCM = "pcm"  # little-endian signed 16 bit, one channel, no header
    MULAW = "mulaw"  # G.711, 8 bit, one channel, no header
    ALAW = "alaw"
    WAV_MULAW = "wav-mulaw"  # the same in a WAV
    WAV_ALAW = "wav-alaw"

    @property
    def ending(self) -> str:
        """What the name of such a file ends in."""
        return "ulaw" if self is AudioFormat.MULAW else self.partition("-")[0]

    @property
    def sample_rate(self) -> int | None:
        """Hertz where nobody asks for a rate; None = the voice's own."""
        return _USUAL_RATES.get(self)

    @classmethod
    def of(cls, path: Path) -> AudioFormat:
        """The format that a file name's ending names. Raises RequestError."""
        try:
            return _ENDINGS[path.suffix.removeprefix(".").lower()]
        except KeyError:
            raise RequestError(
                f"{path.name!r} does not end like an audio file that Sonorant writes",
                remedy=f"End it in one of {', '.join(_ENDINGS)}, or name the format",
                param="format",
            ) from None

    @classmethod
    def named(cls, name: str) -> AudioFormat:
        """The format of this name. Raises RequestError."""
        try:
            return cls(name)
        except ValueError:
            raise RequestError(
                f"The format {name!r} is not known", remedy=f"Choose {', '.join(cls)}", param="format"
            ) from None


_G711 = (AudioFormat.MULAW, AudioFormat.ALAW, AudioFormat.WAV_MULAW, AudioFormat.WAV_ALAW)
_USUAL_RATES = {AudioFormat.PCM: 24_000, **dict.fromkeys(_G711, 8_000)}
"""what OpenAI's clients take headerless audio to be, and telephones G.711"""
_ENDINGS = {
    **{kind.value: kind for kind in AudioFormat if "-" not in kind},
    "ulaw": AudioFormat.MULAW,
    "ul": AudioFormat.MULAW,
    "al": AudioFormat.ALAW,
}
