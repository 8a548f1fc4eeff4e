"""The library: models in this process, for scripts and for pipelines of one's own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.encoding import output_rate
from sonorant.audio.files import write
from sonorant.catalogue import Catalogue
from sonorant.errors import AudioError, TextError, UnsupportedError
from sonorant.replica import Replicas
from sonorant.settings import Settings, load_settings, uninstalled_defaults
from sonorant.stream import Answer, Loop, Stream, begun, in_daemon, running_loop
from sonorant.tasks import (
    DEFAULT_MODELS,
    AudioChunk,
    AudioFormat,
    Delivery,
    Described,
    Normalizer,
    Quality,
    Segment,
    SpeechRequest,
    State,
    Task,
    TranscriptEnd,
    TranscriptionRequest,
    Upload,
    VocodingRequest,
    Word,
)
from sonorant.text.fitting import fitting
from sonorant.text.joint import joined
from sonorant.text.languages import languages_of
from sonorant.text.lexicon import entries
from sonorant.text.markup import is_markup, parse
from sonorant.text.segment import once
from sonorant.text.subtitle_file import SubtitleFile
from sonorant.text.timing import shifted

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress

# What goes wrong is raised; who wants the log as well gives it a handler.
logging.getLogger("sonorant").addHandler(logging.NullHandler())

LOUDEST = 2.0
"""samples beyond [-1, 1] by rounding or overshoot are clipped; beyond this they are in another scale"""
LOWEST_RATE = 1_000
"""hertz"""

Text = str | Iterable[str] | AsyncIterable[str]
Audio = str | Path | bytes | AudioChunk


class Speech(Stream[AudioChunk, AudioChunk]):
    """Spoken audio, a sentence or less at a time; `.result()` is one chunk with all of it."""

    sample_rate = 0
    """hertz"""
    ignored: tuple[str, ...] = ()
    """what of the markup could not be obeyed"""

    def _collect(self, items: list[AudioChunk]) -> AudioChunk:
        silence = np.zeros(0, np.float32)  # all there is where every chunk has been taken already
        samples = np.concatenate([silence, *(chunk.samples for chunk in items)])
        return AudioChunk(samples, self.sample_rate, _words(items))

    def save(
        self,
        path: str | Path,
        sample_rate: int | None = None,
        *,
        format: str = "",
        subtitles: str | Path | None = None,
    ) -> Path:
        """Write the audio while it is made.

        `format`: an AudioFormat or its name; "" = what the file's ending names. `subtitles`: a file ending in
        .srt or .vtt for the subtitles of this very audio. Raises RequestError for an unknown format and for
        another ending, UnsupportedError for a rate that the format cannot hold, and for subtitles where the
        model does not measure words.
        """
        path = Path(path)
        kind = AudioFormat.named(format) if format else AudioFormat.of(path)
        output_rate(kind, self.sample_rate, sample_rate)
        track = SubtitleFile(Path(subtitles)) if subtitles is not None else None
        chunks = begun(track.watched(self) if track else self)
        with path.open("w+b") as file:
            write(chunks, file, kind, sample_rate)
        if track:
            track.write()
        return path


class Transcript(Stream[Segment, "Whole"]):
    """Segments as they are recognised; `.result()` is the whole transcript, `.text` its text."""

    duration: float | None = None
    """seconds of audio, known when all of it has been heard"""

    def __init__(self, loop: Loop, items: AsyncIterator[Segment]) -> None:
        super().__init__(loop, items)
        self._taken: list[Segment] = []

    async def _next(self) -> Segment:
        self._taken.append(await super()._next())
        return self._taken[-1]

    def _collect(self, items: list[Segment]) -> Whole:
        return Whole(tuple(items), self.duration or 0.0)

    @property
    def text(self) -> str:
        """Wait for the end; the text of all segments, of those that were taken before as well."""
        self.result()
        return joined(segment.text for segment in self._taken)


class Whole:
    """A complete transcript."""

    def __init__(self, segments: tuple[Segment, ...], duration: float) -> None:
        self.segments, self.duration = segments, duration

    @property
    def text(self) -> str:
        return joined(segment.text for segment in self.segments)


class Model:
    """A loaded model. Close it, or leave that to the end of the process."""

    def __init__(self, name: str, settings: Settings, progress: Progress | None = None) -> None:
        self._loop = _loop()
        self._replicas = Replicas(settings, [name])
        self._replica = self._replicas.all[0]
        self._loop.run(self._replica.start(progress))
        if self._replica.state is not State.READY:
            self.close()
            raise self._replica.failure

    @property
    def name(self) -> str:
        return self._replica.name

    def describe(self) -> Described:
        """Voices, languages, sample rate, licence."""
        return self._replica.describe()

    def say(
        self,
        text: Text,
        *,
        voice: str = "",
        speed: float = 1.0,
        language: str = "",
        instructions: str = "",
        lexicon: Mapping[str, Mapping[str, str]] | None = None,
        seed: int | None = None,
        sample_rate: int | None = None,
        loudness: float | None = None,
        trim_silence: bool = False,
        quality: str = "",
    ) -> Speech:
        """Speak `text`: a string (plain or SSML), or strings as they come.

        `sample_rate`: hertz, 8,000 to 48,000, in place of the voice's own. `loudness`: LUFS, −31 to −9 (EBU
        R128), with true peaks of at most −1 dBTP. `trim_silence`: none at either end.

        `lexicon`: language → word → reading, {"en": {"GIF": "/dʒɪf/", "Sonorant": "SON or ant"}}.
        `quality`: high, balanced or fast (高保真, 平衡, 快速), for models that have tiers.
        Problems are raised when the stream is read; those of markup, lexicon and quality at once.
        """
        request = SpeechRequest(
            model=self.name,
            voice=voice,
            speed=speed,
            language=language,
            instructions=instructions,
            lexicon=entries(lexicon or {}),
            seed=seed,
            quality=Quality.of(quality),
        )
        markup = parse(text) if isinstance(text, str) and is_markup(text) else None
        home = running_loop() if isinstance(text, AsyncIterable) else None
        pieces = markup.utterances if markup else _pieces(text, home)
        delivery = Delivery(sample_rate=sample_rate, loudness=loudness, trim_silence=trim_silence)
        speech = Speech(self._loop, self._replica.mastered(request, pieces, delivery), home)
        speech.sample_rate = sample_rate or self._replica.describe().sample_rate or 0
        speech.ignored = markup.ignored if markup else ()
        return speech

    def transcribe(
        self,
        audio: Audio,
        *,
        language: str = "",
        prompt: str = "",
        temperature: float = 0.0,
        words: bool = False,
        itn: bool = False,
        translate: bool = False,
        quality: str = "",
    ) -> Transcript:
        """Write down a file (path or bytes, any format) or samples. Problems are raised when read.

        `quality`: high, balanced or fast (高保真, 平衡, 快速), for models that have tiers: Whisper has.
        """
        request = TranscriptionRequest(
            model=self.name,
            language=language,
            prompt=prompt,
            temperature=temperature,
            words=words,
            itn=itn,
            translate=translate,
            quality=Quality.of(quality),
        )
        if isinstance(audio, AudioChunk):
            events = self._replica.recognize(request, self._resampled(audio))
        else:
            events = self._replica.transcribe(request, _upload(audio))

        async def segments() -> AsyncIterator[Segment]:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, TranscriptEnd):
                        transcript.duration = event.duration
                    else:
                        yield event

        transcript = Transcript(self._loop, segments())
        return transcript

    def embed(self, audio: Audio) -> Answer[NDArray[np.float32]]:
        """The voice in a recording of one speaker, as float32 [n] of length 1; see sonorant.similarity."""
        source = self._resampled(audio) if isinstance(audio, AudioChunk) else _upload(audio)
        return Answer(self._loop, self._replica.embed(source))

    def vocode(
        self,
        source: NDArray[np.float32] | Audio,
        *,
        sample_rate: int | None = None,
        loudness: float | None = None,
    ) -> Speech:
        """Sound from a mel spectrogram, float32 [bins, frames]; or from that of a recording (copy synthesis).

        A path may also be that of a .npy file. `sample_rate` and `loudness` as for `say`. Problems are raised
        when the stream is read.
        """
        what: NDArray[np.float32] | Upload | AsyncGenerator[AudioChunk, None]
        if isinstance(source, np.ndarray):
            what = source
        else:
            what = self._resampled(source) if isinstance(source, AudioChunk) else _upload(source)
        delivery = Delivery(sample_rate=sample_rate, loudness=loudness)
        speech = Speech(self._loop, self._replica.vocoded(VocodingRequest(model=self.name), what, delivery))
        speech.sample_rate = sample_rate or self._replica.describe().sample_rate or 0
        return speech

    def score(self, audio: Audio) -> Answer[float]:
        """How good speech sounds, as listeners would rate it: 1 (bad) to 5 (excellent)."""
        source = self._resampled(audio) if isinstance(audio, AudioChunk) else _upload(audio)
        return Answer(self._loop, self._replica.score(source))

    def detect(self, audio: Audio) -> Answer[list[tuple[float, float]]]:
        """The stretches in which somebody speaks: (start, end), seconds."""
        source = self._resampled(audio) if isinstance(audio, AudioChunk) else _upload(audio)
        rate = self._replica.describe().sample_rate or 16_000

        async def spans() -> list[tuple[float, float]]:
            async with aclosing(self._replica.detect(source)) as found:
                return [(span.start / rate, span.end / rate) async for span in found]

        return Answer(self._loop, spans())

    def normalize(self, text: str, language: str, *, inverse: bool = False) -> str:
        """TN ("$5" → "five dollars"), or with `inverse` ITN, by a text normalisation model."""
        if self._replica.task is not Task.NORMALIZATION:
            raise UnsupportedError(
                f"{self.name} does not normalise text", remedy='Use sonorant.load("wetext")'
            )
        normalizer = cast(Normalizer, self._replica.pipeline)
        return normalizer.written(text, language) if inverse else normalizer.spoken(text, language)

    def close(self) -> None:
        """Free the model. The end of the process does it too: no decoder outlives its owner."""
        self._loop.run(self._replicas.close())

    async def _resampled(self, audio: AudioChunk) -> AsyncGenerator[AudioChunk, None]:
        from sonorant.audio.resample import Resampler

        samples = np.asarray(audio.samples, np.float32)
        if samples.ndim != 1 or not len(samples):
            raise AudioError(
                f"The samples have the shape {samples.shape}", remedy="Give one channel, float32 [n]"
            )
        if not np.abs(samples).max() <= LOUDEST:
            raise AudioError(
                "The samples are not audio in [-1, 1]",
                why=f"They lie between {samples.min()} and {samples.max()}",
                remedy="Divide 16 bit samples by 32768",
            )
        if audio.sample_rate < LOWEST_RATE:
            raise AudioError(
                f"A sample rate of {audio.sample_rate} Hz is too low for speech", remedy="Give hertz"
            )
        rate = self._replica.describe().sample_rate or 16_000
        resampler = Resampler(audio.sample_rate, rate)
        for start in range(0, len(samples), audio.sample_rate):
            second = resampler.process(samples[start : start + audio.sample_rate])
            yield AudioChunk(np.clip(second, -1, 1), rate)  # a resampler overshoots where audio is clipped
        yield AudioChunk(np.clip(resampler.flush(), -1, 1), rate)


def load(
    model: str,
    *,
    device: str | None = None,
    offline: bool | None = None,
    config: Path | None = None,
    onnxruntime: dict[str, str | int | float | bool] | None = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model of the catalogue (NAME or NAME@REVISION) or a local folder, fetching what is missing.

    Raises UnknownModelError, LayoutError, DownloadError, ModelFileError, EngineError, SettingsError.
    """
    overrides = {"device": device, "onnxruntime": onnxruntime, "catalogue": {"offline": offline}}
    return Model(model, load_settings(config, overrides), progress)


def say(text: Text, *, model: str = "", voice: str = "", speed: float = 1.0) -> Speech:
    """Speak with a model that is loaded once and kept. See Model.say.

    Without `model` it is the default that knows the languages of `text`, where that is a string.
    """
    languages = frozenset(languages_of(text)) if isinstance(text, str) else frozenset[str]()
    return _kept(model or default_model(Task.SPEECH, languages)).say(text, voice=voice, speed=speed)


def transcribe(audio: Audio, *, model: str = "", language: str = "", quality: str = "") -> Transcript:
    """Write down speech with a model that is loaded once and kept. See Model.transcribe.

    Without `model` it is the default that knows `language`, and without that, the one that knows most.
    """
    named = model or default_model(Task.TRANSCRIPTION, frozenset({language}))
    return _kept(named).transcribe(audio, language=language, quality=quality)


@cache
def default_model(task: Task, languages: frozenset[str] = frozenset()) -> str:
    """The default model that fits `languages` (BCP 47; "" = unknown), as the server chooses.

    One whose library is not installed is meant only where no other knows them: it says how to install it.
    """
    catalogue = Catalogue(load_settings().catalogue)
    wanted = languages - {""}
    absent = () if wanted else uninstalled_defaults()
    candidates = [name for name in DEFAULT_MODELS[task] if name not in absent]
    listening = task is Task.TRANSCRIPTION
    return fitting(candidates, lambda name: catalogue.find(name).languages, wanted, listening=listening)


def _words(chunks: Iterable[AudioChunk]) -> tuple[Word, ...] | None:
    """Those of all chunks, from the start of the first; None where one has none measured."""
    words: list[Word] = []
    began = 0.0
    for chunk in chunks:
        if chunk.words is None:
            return None
        words += shifted(chunk.words, began)
        began += chunk.seconds
    return tuple(words)


def _upload(audio: str | Path | bytes) -> Upload:
    if isinstance(audio, bytes):
        return Upload(audio)
    path = Path(audio)
    if not path.is_file():
        raise AudioError(f"There is no file {path}", remedy="Check the path", param="file")
    return Upload(path, path.name)


def _pieces(text: Text, home: asyncio.AbstractEventLoop | None) -> AsyncIterator[str]:
    if isinstance(text, str):
        if not text.strip():
            raise TextError("The text is empty", remedy="Send words to speak", param="input")
        return once(text)
    if isinstance(text, AsyncIterable):
        return aiter(text) if home is None else _fetched(text, home)
    return _threaded(text)


async def _fetched(text: AsyncIterable[str], home: asyncio.AbstractEventLoop) -> AsyncIterator[str]:
    """Pieces awaited on the caller's loop: the connection or queue that they come from belongs to it."""
    pieces = aiter(text)

    async def following() -> str | None:
        return await anext(pieces, None)

    while (
        piece := await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(following(), home))
    ) is not None:
        yield piece


async def _threaded(text: Iterable[str]) -> AsyncIterator[str]:
    """Pieces that may wait for a keyboard or a network: never on the event loop."""
    pieces = iter(text)

    def following() -> str | None:
        return next(pieces, None)

    while (piece := await in_daemon(following)) is not None:
        yield piece


_lock = threading.Lock()
_shared_loop: Loop | None = None
_keeping = threading.Lock()
_models: dict[str, Model] = {}


def _loop() -> Loop:
    global _shared_loop
    with _lock:
        _shared_loop = _shared_loop or Loop()
        return _shared_loop


def _kept(model: str) -> Model:
    with _keeping:
        if model not in _models:
            _models[model] = load(model)
        return _models[model]
