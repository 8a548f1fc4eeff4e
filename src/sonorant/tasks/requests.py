"""What can be asked of a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from sonorant.tasks.audio_format import AudioFormat
from sonorant.tasks.terms import Quality, Terms
from sonorant.tasks.text import Pronunciation


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """How a text is to be spoken. The text itself travels beside it, as a stream."""

    model: str
    voice: str = ""
    """a voice of the model, or "" for its first"""
    speed: float = 1.0
    """1 = the voice's own pace, 2 = twice as fast"""
    language: str = ""
    """BCP 47; "" = the voice's own"""
    instructions: str = ""
    """how to speak, in words, for voices that can follow them"""
    lexicon: tuple[Pronunciation, ...] = ()
    """of entries for the same word the last one counts"""
    seed: int | None = None
    """makes noise reproducible where a network takes it as an input"""
    quality: Quality | None = None
    """None = the server's; a model without tiers has only one"""
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the caller wants to hold in the end."""

    format: AudioFormat = AudioFormat.WAV
    sample_rate: int | None = None
    """hertz; None = the format's usual rate, or the voice's own"""
    loudness: float | None = None
    """LUFS that the whole is brought to (EBU R128), with true peaks of at most −1 dBTP; None = as spoken"""
    trim_silence: bool = False
    """without the silence before the first sound and after the last; pauses between stay"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """How speech is to be written down. The audio travels beside it, as a stream."""

    model: str
    language: str = ""
    """ISO 639-1; "" = detect, or the model's only one"""
    prompt: str = ""
    """words to expect, for models that can be told"""
    temperature: float = 0.0
    """0 = greedy"""
    words: bool = False
    """ask for word times; refused by models that do not measure them"""
    itn: bool = False
    """inverse text normalisation: spoken numbers become digits"""
    translate: bool = False
    """write in English what is said in any language; refused by models that cannot"""
    quality: Quality | None = None
    """None = the server's; a model without tiers has only one"""
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class VocodingRequest:
    """That a mel spectrogram, or a recording's, is to become sound. It travels beside it, as an upload."""

    model: str
    terms: Terms = field(default_factory=Terms)
