"""What can be asked and what is answered: requests, events and the tasks' Protocols.

The lowest room of the house. It imports neither numpy nor pydantic, so that the gateway can
speak these types without holding anything that computes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sonorant.errors import RequestError, UnknownVoiceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sonorant.audio.endpointing import Endpointing


class Task(StrEnum):
    """What a model does."""

    SPEECH = "text-to-speech"
    TRANSCRIPTION = "speech-to-text"
    VAD = "voice-activity-detection"
    NORMALIZATION = "text-normalization"
    EMBEDDING = "speaker-embedding"
    VOCODING = "vocoding"
    SCORING = "speech-quality"


DEFAULT_MODELS: dict[Task, tuple[str, ...]] = {
    Task.SPEECH: ("hibari", "kokoro"),
    Task.TRANSCRIPTION: ("moonshine-tiny", "whisper-base"),
}
"""what is served where no model is named; which of them is used depends on the language (`fitting`)"""
OPTIONAL_LIBRARIES = {"whisper-base": "faster_whisper"}
"""the defaults whose library is an extra; without it they are left out"""


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


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of one-channel audio."""

    samples: NDArray[np.float32]
    """float32 [n], in [-1, 1]"""
    sample_rate: int
    """hertz"""
    words: tuple[Word, ...] | None = None
    """when each word that ends in this chunk is spoken, from the chunk's start: one that began in the chunk
    before starts below 0; None = not measured"""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes of an encoded audio stream, in order; together they are one file."""

    data: bytes
    seconds: float
    """audio that entered the encoder since the last event, seconds (its bytes may come later)"""
    words: tuple[Word, ...] | None = None
    """the words in that audio, from the start of the stream; None = not measured"""
    spent: float = 0.0
    """device-seconds that the request has taken since its last event"""


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """A word with a reading of its own."""

    word: str
    """as it is written; in lower case it stands for its other cases too"""
    language: str
    """of the text in which it counts, primary subtag; "" = any"""
    reading: str
    """between slashes phonemes, "/dʒɪf/" (for Mandarin pinyin, "/yue4 qing1/"); else another spelling"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A stretch of text in a manner of its own, from markup."""

    text: str
    """"" = only the pause"""
    voice: str = ""
    """"" = the request's, or one that `gender` and `language` name"""
    gender: str = ""
    language: str = ""
    """BCP 47; "" = the request's"""
    rate: float = 1.0
    """times the request's speed"""
    gain: float = 1.0
    """times the voice's own amplitude"""
    lexicon: tuple[Pronunciation, ...] = ()
    pause: float | None = None
    """seconds of silence after it; None = as after a sentence, or a paragraph"""
    paragraph: bool = False
    """it ends a paragraph"""


class Tier(StrEnum):
    """How urgent a request is."""

    INTERACTIVE = "interactive"
    """somebody listens, or waits"""
    BULK = "bulk"
    """whenever nothing interactive wants the device, and never much later than that"""


class Quality(StrEnum):
    """How good an answer is to be, and how soon it is there. Where no model is named it chooses that, too."""

    HIGH = "high"
    BALANCED = "balanced"
    FAST = "fast"

    @classmethod
    def _missing_(cls, value: object) -> Quality | None:
        return _QUALITIES.get(value) if isinstance(value, str) else None

    @classmethod
    def of(cls, word: str) -> Quality | None:
        """What a word means, in English or Chinese; "" = None, the server's. Raises RequestError."""
        try:
            return cls(word) if word else None
        except ValueError:
            raise RequestError(
                f"No quality is called {word[:40]!r}",
                remedy=f"Choose {', '.join(cls)}, or in Chinese {', '.join(_QUALITIES)}",
                param="quality",
            ) from None


_QUALITIES = {"高保真": Quality.HIGH, "平衡": Quality.BALANCED, "快速": Quality.FAST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For whom and how soon a request is answered. They travel with it down to the device."""

    id: str = ""
    """the request's name in logs, traces and messages"""
    tenant: str = ""
    """whose request it is: shares, limits and caches are kept apart by it; never a key itself"""
    tier: Tier = Tier.INTERACTIVE
    within: float | None = None
    """seconds after its arrival in which the first audio or text is wanted; None = as soon as may be"""
    trace: str = ""
    """the span that it belongs to, as W3C traceparent ("00-…-…-01"); "" = it is not traced"""


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
    terms: Terms = Terms()


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
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class VocodingRequest:
    """That a mel spectrogram, or a recording's, is to become sound. It travels beside it, as an upload."""

    model: str
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it was said."""

    text: str
    start: float
    """seconds"""
    end: float
    """seconds"""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its text. Times are measured, never interpolated from the text."""

    start: float
    """seconds from the start of the audio"""
    end: float
    """seconds"""
    text: str
    language: str = ""
    tokens: tuple[int, ...] = ()
    avg_logprob: float | None = None
    """mean natural logarithm of the chosen tokens' probabilities; None = not measured"""
    no_speech_prob: float | None = None
    """1 − mean speech probability that the VAD gave the stretch; None = not measured"""
    words: tuple[Word, ...] | None = None
    """None = not measured"""


@dataclass(frozen=True, slots=True)
class TranscriptEnd:
    """The last event of a transcript."""

    duration: float
    """length of all the audio, seconds"""
    spent: float = 0.0
    """device-seconds that the request has taken"""


TranscriptEvent = Segment | TranscriptEnd


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """A stretch in which a detector heard speech."""

    start: int
    """first sample"""
    end: int
    """one past the last sample"""
    probability: float
    """mean speech probability of its frames"""
    samples: NDArray[np.float32]
    """float32 [end − start], in [-1, 1]"""


@dataclass(frozen=True, slots=True)
class Upload:
    """Audio, or a mel spectrogram, as it came in, not decoded and not trusted: bytes, or a file of ours that
    holds them."""

    source: bytes | Path
    name: str = ""
    """what the sender called it; used in messages only, never opened"""

    @property
    def size(self) -> int:
        """bytes"""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a text-to-speech model."""

    name: str
    language: str
    """BCP 47"""
    gender: str = ""
    description: str = ""
    content: str = ""
    """which sound it is: SHA-256 of its data, where they are not part of the model"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes of a device, as measured: fixed + each × units, in device-seconds.

    A unit is a character of text, or a second of audio that is heard or vocoded.
    """

    fixed: float
    each: float

    def of(self, units: float) -> float:
        return self.fixed + self.each * units


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy a replica is at this moment."""

    slots: int
    """pieces of work that its device does at a time"""
    running: int = 0
    """that it does now"""
    waiting: int = 0
    """that wait for a slot"""
    waiting_seconds: float = 0.0
    """predicted device-seconds of those"""
    longest_running: float = 0.0
    """seconds since the oldest of those that run has begun"""
    memory: int = 0
    """resident bytes of its process; 0 = it shares the gateway's"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure of a process, counted from its start. observe/measures.py knows what it means."""

    name: str
    labels: tuple[str, ...]
    """values, in the order in which its measure names the labels"""
    value: float
    """a histogram's: the sum of all observations"""
    buckets: tuple[int, ...] = ()
    """a histogram's: observations in each bucket, those beyond the last bound at the end"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All figures of one registry at a moment. Plain values: any encoding carries them in a message."""

    source: str
    """which registry, among all that ever were: a process that was restarted has another"""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a served model says of itself to the gateway."""

    name: str
    task: Task
    languages: tuple[str, ...]
    voices: tuple[Voice, ...] = ()
    sample_rate: int | None = None
    """hertz: what it speaks, or what it wants to hear"""
    licence: str = ""
    instructions: bool = False
    """follows `SpeechRequest.instructions`"""
    word_times: bool = False
    """measures when each word is said"""
    translation: bool = False
    """writes in English what is said in its other languages"""
    varied: bool = False
    """says the same text at another pace each time, and no seed prevents it"""
    voice_mixing: bool = False
    """speaks mixtures of its voices: "af_heart+zf_xiaoxiao", "af_heart*0.7+af_bella*0.3\""""
    tiers: bool = False
    """answers better or sooner, as `quality` asks"""
    batched: bool = False
    """runs what several requests want together"""
    cost: Cost | None = None
    """measured when it was warmed up; None = not measured"""
    artefact: str = ""
    """which files, engine and settings say it: the same identity, the same sound; "" = not known"""


Text = AsyncIterator[str] | tuple[Utterance, ...]
"""what is spoken: text as it comes, or marked-up text, which is whole"""


class State(StrEnum):
    """Where a replica stands."""

    LOADING = "loading"
    UNLOADED = "unloaded"
    """it is loaded when it is asked for"""
    READY = "ready"
    RESTARTING = "restarting"
    """its process ended and the next one loads; requests wait for it"""
    FAILED = "failed"
    STOPPED = "stopped"


class Replica(Protocol):
    """One served model, as the gateway sees it: here in process, elsewhere across a boundary.

    Requests stop computing when their iterator is closed or the awaiting task is cancelled.
    Bad ones raise `RequestError` before the first event.
    """

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> Task: ...

    @property
    def state(self) -> State: ...

    @property
    def reason(self) -> str:
        """Why it is FAILED or RESTARTING, with the remedy; "" otherwise."""
        ...

    @property
    def notice(self) -> str:
        """What is wrong although it works; "" = nothing."""
        ...

    def describe(self) -> Described: ...

    def load(self) -> Load: ...

    async def wake(self) -> None:
        """Load the model where it is not, so that `describe` tells all. Raises NotReadyError."""
        ...

    @property
    def idle_seconds(self) -> float:
        """since it last showed by real work that it can"""
        ...

    async def probe(self, seconds: float) -> bool:
        """Try it with a small piece of its real work; whether that was done within so long."""
        ...

    def figures(self) -> tuple[Snapshot, ...]:
        """What its processes have measured so far: of each that lives the latest snapshot; () = nothing."""
        return ()

    def tune(self, window_ms: float, max_frames: int) -> None:
        """How long its lanes gather, and the largest batch in frames, from now on; see LaneSettings."""

    async def unload(self) -> bool:
        """Give back all its memory, if it answers nobody now, until it is asked again; whether it did."""
        return False

    def speak(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]: ...

    def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]: ...

    def vocode(
        self, request: VocodingRequest, upload: Upload, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]: ...


class Synthesizer(Protocol):
    """Text to speech. Whole texts are the special case of a stream with one item."""

    def describe(self) -> Described: ...

    def synthesize(
        self, request: SpeechRequest, text: AsyncIterator[str]
    ) -> AsyncGenerator[AudioChunk, None]: ...


class Recognizer(Protocol):
    """Speech to text. Audio comes at the rate that `describe().sample_rate` names."""

    def describe(self) -> Described: ...

    def recognize(
        self, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[TranscriptEvent, None]: ...


class Detector(Protocol):
    """Voice activity detection: the stretches of a stream in which somebody speaks, as they end."""

    def describe(self) -> Described: ...

    def detect(
        self, audio: AsyncIterator[AudioChunk], endpointing: Endpointing | None = None
    ) -> AsyncGenerator[SpeechSpan, None]: ...


class Normalizer(Protocol):
    """Text normalisation (TN: "$5" → "five dollars") and its inverse (ITN)."""

    def describe(self) -> Described: ...

    def spoken(self, text: str, language: str) -> str:
        """TN: written form → the words a person would say."""
        ...

    def written(self, text: str, language: str) -> str:
        """ITN: words as they were said → the form one would write."""
        ...

    def simplified(self, text: str) -> str:
        """Traditional Chinese characters → simplified ones; everything else as it is."""
        ...


class Embedder(Protocol):
    """Speaker embedding: a voice as a vector, by which speakers are told apart (see `similarity`)."""

    def describe(self) -> Described: ...

    async def embed(self, audio: AsyncIterator[AudioChunk]) -> NDArray[np.float32]:
        """One speaker's audio, at the rate that `describe().sample_rate` names → float32 [n], of length 1.

        Hears as much of it as makes a good embedding and no more. Raises AudioError where it is too short.
        """
        ...


class Vocoder(Protocol):
    """A mel spectrogram to sound. Mel spectrograms come in pieces of any length: float32 [bins, n]."""

    def describe(self) -> Described: ...

    def analyse(self, audio: AsyncIterator[AudioChunk]) -> AsyncGenerator[NDArray[np.float32], None]:
        """Audio, at the rate that `describe().sample_rate` names → its mel spectrogram.

        Raises AudioError where it is too short for one.
        """
        ...

    def vocode(self, mel: AsyncIterator[NDArray[np.float32]]) -> AsyncGenerator[AudioChunk, None]:
        """The sound, in windows as soon as they can be computed; together what one run over all would give.

        Raises RequestError for what is no mel spectrogram of this vocoder's.
        """
        ...


class Scorer(Protocol):
    """How good speech sounds: the mean opinion of listeners (MOS), predicted."""

    def describe(self) -> Described: ...

    async def score(self, audio: AsyncIterator[AudioChunk]) -> float:
        """Audio at the rate that `describe().sample_rate` names → 1 (bad) to 5 (excellent).

        Raises AudioError where there is none.
        """
        ...


Servable = Synthesizer | Recognizer | Detector | Normalizer | Embedder | Scorer | Vocoder


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The cosine between two embeddings of one model, or means of them: -1 to 1."""
    return float(a @ b) / sqrt((a @ a) * (b @ b))


def mixture(voice: str) -> dict[str, float]:
    """A voice name, or names with weights: "a*0.7+b*0.3", "a+b" → {name: weight}.

    Raises UnknownVoiceError for a weight that is no positive number.
    """
    weights: dict[str, float] = {}
    for part in voice.split("+"):
        name, star, weight = part.strip().partition("*")
        try:
            value = float(weight) if star else 1.0
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf") or not name:
            raise UnknownVoiceError(
                f"{voice!r} is not a mixture of voices",
                remedy="Write it like af_heart+zf_xiaoxiao or af_heart*0.7+af_bella*0.3",
                param="voice",
            )
        weights[name.strip()] = weights.get(name.strip(), 0.0) + value
    return weights


def languages_match(asked: str, known: Sequence[str]) -> bool:
    """Whether the primary language of `asked` ("en-GB", "en", "") is among `known`."""
    return not asked or asked.split("-")[0].lower() in {k.split("-")[0].lower() for k in known}
