"""A replica in this process: a pipeline behind its task's Protocol, with the codecs around it."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sonorant.audio.encoding import Encoder, output_rate
from sonorant.audio.mastering import Mastering
from sonorant.catalogue import Catalogue
from sonorant.catalogue.part import Abandonable
from sonorant.errors import (
    ModelError,
    NotReadyError,
    RequestError,
    SonorantError,
    TextError,
    UnknownVoiceError,
    UnsupportedError,
)
from sonorant.families import family, resolve
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.replica.claims import Claim, Playback, set_current, under
from sonorant.replica.engines import Networks
from sonorant.replica.host import Hosts, ReplicaHost
from sonorant.replica.identity import identity
from sonorant.replica.memory import give_back
from sonorant.replica.trial import RequestCost, counted, try_speech, try_transcription, try_vocoding
from sonorant.replica.utterances import asked, spoken
from sonorant.replica.vocoding import Source, sound
from sonorant.tasks import (
    AudioChunk,
    AudioFormat,
    Cost,
    Delivery,
    Described,
    Detector,
    Embedder,
    Encoded,
    Load,
    Pronunciation,
    Recognizer,
    Scorer,
    Servable,
    Snapshot,
    SpeechRequest,
    SpeechSpan,
    State,
    Synthesizer,
    Task,
    Terms,
    Text,
    Tier,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    Upload,
    Vocoder,
    VocodingRequest,
    languages_match,
    mixture,
)
from sonorant.text.timing import shifted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sonorant.audio.sandbox import Sandbox
    from sonorant.catalogue.part import Progress
    from sonorant.networks.engines.options import Value
    from sonorant.replica.device import Device

logger = logging.getLogger(__name__)

PIECE_SECONDS = 0.5
"""of audio that a codec encodes at a time: the first of a sentence is on its way while the rest is encoded"""
SLOWEST, FASTEST = 0.25, 4.0
"""bounds of SpeechRequest.speed, OpenAI's"""
HOTTEST = 1.0
"""bound of TranscriptionRequest.temperature, OpenAI's"""


class LocalReplica:
    """A `tasks.Replica`. `start` loads and warms up; a failure is kept and told, not raised."""

    def __init__(
        self,
        model: str,
        catalogue: Catalogue,
        device: Device,
        sandbox: Sandbox,
        *,
        max_seconds: float,
        options: dict[str, Value] | None = None,
        lexicon: tuple[Pronunciation, ...] = (),
        known: Cost | None = None,
        precision: str = "auto",
        networks: Networks | None = None,
        hosts: Hosts = ReplicaHost,
    ) -> None:
        """`lexicon` holds for every request, before the request's own; `known` is what requests cost, where
        that was measured before: the warm-up is then short. `hosts`: what makes engines and networks.
        """
        self.card, self._folder = resolve(model, catalogue)
        self._lexicon = lexicon
        self._catalogue, self._device, self._sandbox = catalogue, device, sandbox
        self._max_seconds, self._options, self._hosts = max_seconds, options or {}, hosts
        self._state = State.LOADING
        self.failure: SonorantError = NotReadyError(
            f"The model {self.name} is still loading", remedy="Try again in a few seconds"
        )
        """why requests are refused while the model is not ready"""
        self._figures = Figures()
        self._encoding = Meter(self._figures, "encoding")
        self._host: ReplicaHost | None = None
        self._pipeline: Servable | None = None
        self._known, self._precision, self._networks = known, precision, networks or {}
        self._cost = RequestCost(known)
        self._foretold = 0
        self._artefact = ""
        self._learning: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def task(self) -> Task:
        return self.card.task

    @property
    def state(self) -> State:
        return self._state

    @property
    def reason(self) -> str:
        return str(self.failure) if self._state is State.FAILED else ""

    @property
    def notice(self) -> str:
        return ""

    @property
    def pipeline(self) -> Servable:
        """Raises NotReadyError while the model is not loaded."""
        return self._ready()

    def describe(self) -> Described:
        if self._pipeline is not None:
            batched = self._host is not None and self._host.batched
            described = self._pipeline.describe()
            return replace(described, cost=self._cost.cost, artefact=self._artefact, batched=batched)
        card = self.card
        return Described(
            name=card.name,
            task=card.task,
            languages=card.languages,
            sample_rate=card.sample_rate,
            licence=card.licence,
        )

    def load(self) -> Load:
        return self._device.load()

    def figures(self) -> tuple[Snapshot, ...]:
        predicted = self._device.underruns.predicted  # of all on the device: a server's process has one model
        self._figures.count("predicted_underruns", predicted - self._foretold)
        self._foretold = predicted
        return (self._figures.snapshot(),)

    async def start(self, progress: Progress | None = None) -> None:
        """Fetch what is missing, check it, load it and run it once. Sets `state`."""
        began = time.perf_counter()
        pull = Abandonable(progress)
        try:
            folder = await asyncio.to_thread(self._fetch, pull)
            fetched = time.perf_counter()
            host, pipeline = await asyncio.to_thread(self._load, folder)
            self._host = host
            if self._known is None:
                await host.warm_up()
                self._cost = await self._tried(pipeline)
            else:
                await self._tried(pipeline, briefly=True)
            await asyncio.to_thread(give_back)
        except asyncio.CancelledError:
            pull.abandon()
            raise
        except SonorantError as error:
            self._fail(error)
        except Exception as error:  # whatever a model makes a library do must not end the others
            logger.exception("model %s failed to load", self.name)
            self._fail(
                ModelError(
                    f"Loading {self.name} failed unexpectedly",
                    why=f"{type(error).__name__}: {error}",
                    remedy=f"Look at the log, and pull it again: `sonorant pull {self.name} --force`",
                )
            )
        else:
            self._pipeline, self._state = pipeline, State.READY
            self._figures.set("fetch_seconds", fetched - began)
            self._figures.set("load_seconds", time.perf_counter() - fetched)
            logger.info("model %s is ready after %.1f s", self.name, time.perf_counter() - began)
            if self._known is not None:
                self._learning = asyncio.create_task(self._learn(host))

    async def _learn(self, host: ReplicaHost) -> None:
        """What a process that replaced another had no time for: what runs cost, and which may be batched."""
        set_current(Claim(Terms(tier=Tier.BULK), self._device.clock))
        try:
            await host.warm_up()
        except SonorantError as error:
            logger.warning("%s: what its runs cost was not measured: %s", self.name, error)

    async def probe(self, seconds: float) -> bool:
        """Run every network and one request through the pipeline. Raises what goes wrong."""
        pipeline = self._ready()
        async with asyncio.timeout(seconds):
            assert self._host is not None
            await self._host.run_all()
            await self._tried(pipeline, briefly=True)
        return True

    async def relax(self) -> None:
        """Give back what the last requests needed and the next may not."""
        await asyncio.to_thread(gc.collect)  # what lies in cycles would keep parts of arenas
        if self._host is not None:
            await self._host.shrink()
        await asyncio.to_thread(give_back)

    async def wake(self) -> None:
        self._ready()

    def tune(self, window_ms: float, max_frames: int) -> None:
        self._device.tune(window_ms, max_frames)

    async def unload(self) -> bool:
        return False  # its memory is this process'

    @property
    def idle_seconds(self) -> float:
        return 0.0  # what runs in this process needs no proof that it lives

    def stop(self) -> None:
        """Free the engines; no request may be running."""
        self._pipeline = None
        if self._learning is not None:
            self._learning.cancel()
        if self._state is State.READY:
            self._state = State.STOPPED
        if self._host is not None:
            self._host.close()

    async def synthesize(self, request: SpeechRequest, text: Text) -> AsyncGenerator[AudioChunk, None]:
        """The pipeline's own chunks. Raises RequestError before the first for what it cannot do."""
        synthesizer = cast(Synthesizer, self._pipeline_for(Task.SPEECH))
        model = synthesizer.describe()
        request = replace(request, lexicon=self._lexicon + request.lexicon)
        if isinstance(text, tuple):
            requests = [_checked(asked(request, utterance, model), model) for utterance in text]
            audio = spoken(synthesizer, requests, text)
        else:
            audio = synthesizer.synthesize(_checked(request, model), text)
        spoke = False
        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                spoke = spoke or bool(chunk.samples.any())
                yield chunk
        if not spoke:
            raise TextError("The text holds nothing that can be spoken", remedy="Send words", param="input")

    async def speak(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        playback, written = self._playback(request.terms), list[int]()
        text = text if isinstance(text, tuple) else counted(text, written)
        audio = self._encoded(self.synthesize(request, text), delivery)
        async with aclosing(self._played(playback, audio)) as events:
            async for event in events:
                yield event
        characters = sum(len(u.text) for u in text) if isinstance(text, tuple) else sum(written)
        self._cost.observe(characters, playback.spent)

    async def _played(
        self, playback: Playback, audio: AsyncGenerator[Encoded, None]
    ) -> AsyncGenerator[Encoded, None]:
        async with aclosing(under(playback, audio)) as events:
            async for event in events:
                playback.delivered(event.seconds)
                yield replace(event, spent=playback.spent_since())

    async def _encoded(
        self, audio: AsyncGenerator[AudioChunk, None], delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        mastering = self._mastering(delivery)
        encoder = Encoder(delivery.format, mastering.sample_rate, mastering.sample_rate)
        plain = delivery.format in (AudioFormat.PCM, AudioFormat.WAV) and delivery.loudness is None
        spoken = 0.0

        def encoded(chunk: AudioChunk | None) -> Iterator[Encoded]:
            """The next chunk, in short pieces where a codec takes its time; None = the end."""
            nonlocal spoken
            mastered = mastering.finish() if chunk is None else mastering.process(chunk)
            words = None if mastered.words is None else shifted(mastered.words, spoken)
            spoken += mastered.seconds
            step = len(mastered.samples) if plain else round(PIECE_SECONDS * mastered.sample_rate)
            for start in range(0, max(1, len(mastered.samples)), max(1, step)):
                samples = mastered.samples[start : start + step]
                yield Encoded(encoder.encode(samples), len(samples) / mastered.sample_rate, words)
                words = None if words is None else ()
            if chunk is None:
                yield Encoded(encoder.finish(), 0.0)

        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                pieces = encoded(chunk)
                while (event := await self._following(pieces, here=plain)) is not None:
                    yield event
        pieces = encoded(None)
        while (event := await self._following(pieces)) is not None:
            yield event

    async def _following(self, pieces: Iterator[Encoded], *, here: bool = False) -> Encoded | None:
        """The next piece; `here`, as what takes well under a millisecond is not worth a change of thread."""
        work = partial(next, pieces, None)
        return self._encoding.run(work) if here else await self._device.run(self._encoding.timed(work))

    async def mastered(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[AudioChunk, None]:
        """The sound that `speak` encodes, at the rate of `delivery`."""
        audio = self._mastered(self._playback(request.terms), self.synthesize(request, text), delivery)
        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _mastered(
        self, playback: Playback, audio: AsyncGenerator[AudioChunk, None], delivery: Delivery
    ) -> AsyncGenerator[AudioChunk, None]:
        async with aclosing(under(playback, self._levelled(audio, delivery))) as chunks:
            async for chunk in chunks:
                playback.delivered(chunk.seconds)
                yield chunk

    async def _levelled(
        self, audio: AsyncGenerator[AudioChunk, None], delivery: Delivery
    ) -> AsyncGenerator[AudioChunk, None]:
        mastering = self._mastering(delivery)
        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                ready = await self._device.run(partial(mastering.process, chunk))
                if len(ready.samples) or ready.words:
                    yield ready
        rest = await self._device.run(mastering.finish)
        if len(rest.samples):
            yield rest

    async def recognize(
        self, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """Transcribe audio that is decoded already, at the rate that `describe` names.

        Raises RequestError before the first event for what it cannot do.
        """
        recognizer = cast(Recognizer, self._pipeline_for(Task.TRANSCRIPTION))
        _check(request, recognizer.describe())
        claim = Claim(request.terms, self._device.clock)
        async with aclosing(under(claim, recognizer.recognize(request, audio))) as events:
            async for event in events:
                claim.delivered()
                if isinstance(event, TranscriptEnd):
                    self._cost.observe(event.duration, claim.spent)
                    event = replace(event, spent=claim.spent)
                yield event

    async def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]:
        rate = self._pipeline_for(Task.TRANSCRIPTION).describe().sample_rate or 16_000
        decoded = self._sandbox.decode(upload, sample_rate=rate, max_seconds=self._max_seconds)
        async with aclosing(decoded) as audio, aclosing(self.recognize(request, audio)) as events:
            async for event in events:
                yield event

    async def embed(self, audio: Upload | AsyncGenerator[AudioChunk, None]) -> NDArray[np.float32]:
        """The voice of a recording, or of audio at the rate that `describe` names: float32 [n], length 1."""
        embedder = cast(Embedder, self._pipeline_for(Task.EMBEDDING))
        async with aclosing(self._heard(audio, embedder.describe())) as chunks:
            return await embedder.embed(chunks)

    async def vocode(
        self, request: VocodingRequest, upload: Upload, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        playback, seconds = self._playback(request.terms), 0.0
        audio = self._encoded(self._sound(upload), delivery)
        async with aclosing(self._played(playback, audio)) as events:
            async for event in events:
                seconds += event.seconds
                yield event
        self._cost.observe(seconds, playback.spent)

    async def vocoded(
        self, request: VocodingRequest, source: Source, delivery: Delivery
    ) -> AsyncGenerator[AudioChunk, None]:
        """The sound that `vocode` encodes, at the rate of `delivery`."""
        audio = self._mastered(self._playback(request.terms), self._sound(source), delivery)
        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _sound(self, source: Source) -> AsyncGenerator[AudioChunk, None]:
        vocoder = cast(Vocoder, self._pipeline_for(Task.VOCODING))
        async with aclosing(sound(vocoder, source, self._sandbox, self._max_seconds)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def score(self, audio: Upload | AsyncGenerator[AudioChunk, None]) -> float:
        """How good a recording sounds, or audio at the rate that `describe` names: 1 to 5."""
        scorer = cast(Scorer, self._pipeline_for(Task.SCORING))
        async with aclosing(self._heard(audio, scorer.describe())) as chunks:
            return await scorer.score(chunks)

    async def detect(
        self, audio: Upload | AsyncGenerator[AudioChunk, None]
    ) -> AsyncGenerator[SpeechSpan, None]:
        """The stretches of speech in a recording, or in audio at the rate that `describe` names."""
        detector = cast(Detector, self._pipeline_for(Task.VAD))
        heard = self._heard(audio, detector.describe())
        async with aclosing(heard) as chunks, aclosing(detector.detect(chunks)) as spans:
            async for span in spans:
                yield span

    def _heard(
        self, audio: Upload | AsyncGenerator[AudioChunk, None], model: Described
    ) -> AsyncGenerator[AudioChunk, None]:
        if not isinstance(audio, Upload):
            return audio
        rate = model.sample_rate or 16_000
        return self._sandbox.decode(audio, sample_rate=rate, max_seconds=self._max_seconds)

    def _playback(self, terms: Terms) -> Playback:
        return Playback(terms, self._device.clock, self._device.underruns)

    def _mastering(self, delivery: Delivery) -> Mastering:
        """Raises RequestError for what `delivery` cannot have."""
        rate = self._ready().describe().sample_rate or 0
        return Mastering(rate, output_rate(delivery.format, rate, delivery.sample_rate), delivery)

    def _fetch(self, progress: Progress | None) -> Path:
        return self._folder or self._catalogue.ensure(self.card, progress=progress)

    def _load(self, folder: Path) -> tuple[ReplicaHost, Servable]:
        device = self._device.name
        host = self._hosts(
            self.card,
            self._catalogue,
            self._device,
            self._options,
            self._figures,
            self._precision,
            self._networks,
        )
        pipeline = family(self.card.family).load(self.card, folder, host)
        host.check()
        self._artefact = identity(
            self.card, self._folder, device, self._options, self._lexicon, host.identities
        )
        for artefact in host.prepared:
            logger.info("%s runs on %s", self.name, artefact.folder)
        return host, pipeline

    async def _tried(self, pipeline: Servable, *, briefly: bool = False) -> RequestCost:
        """Requests through the whole pipeline, and what they cost."""
        if self.task is Task.SPEECH:
            synthesizer = cast(Synthesizer, pipeline)
            request = _checked(SpeechRequest(model=self.name), synthesizer.describe())
            return await try_speech(synthesizer, request, self._device.clock, briefly=briefly)
        if self.task is Task.TRANSCRIPTION:
            recognizer, heard = cast(Recognizer, pipeline), TranscriptionRequest(model=self.name)
            return await try_transcription(recognizer, heard, self._device.clock, briefly=briefly)
        if self.task is Task.VOCODING:
            return await try_vocoding(cast(Vocoder, pipeline), self._device.clock, briefly=briefly)
        return RequestCost()

    def _pipeline_for(self, task: Task) -> Servable:
        if self.task is not task:
            raise UnsupportedError(f"{self.name} does {self.task}, not {task}", remedy="Choose another model")
        return self._ready()

    def _ready(self) -> Servable:
        if self._pipeline is None:
            raise self.failure
        return self._pipeline

    def _fail(self, error: SonorantError) -> None:
        self._state, self.failure = State.FAILED, error
        logger.error("model %s cannot be served: %s", self.name, error)


def _checked(request: SpeechRequest, model: Described) -> SpeechRequest:
    """The request with its voice filled in. Raises RequestError for what the model cannot do."""
    names = [voice.name for voice in model.voices]
    asked = mixture(request.voice) if model.voice_mixing and request.voice else {request.voice: 1.0}
    if request.voice and not asked.keys() <= set(names):
        raise UnknownVoiceError(
            f"{model.name} has no voice {request.voice!r}",
            remedy=f"Its voices: {', '.join(names)}",
            param="voice",
        )
    if not SLOWEST <= request.speed <= FASTEST:
        raise RequestError(
            f"The speed {request.speed} is not possible",
            remedy=f"Choose {SLOWEST} to {FASTEST}",
            param="speed",
        )
    if request.seed is not None and request.seed < 0:
        raise RequestError(
            f"The seed {request.seed} is not possible", remedy="Choose 0 or more", param="seed"
        )
    if request.instructions and not model.instructions:
        raise UnsupportedError(
            f"{model.name} cannot follow instructions on how to speak",
            remedy="Leave instructions out, or choose a model that can",
            param="instructions",
        )
    if not languages_match(request.language, model.languages):
        raise UnsupportedError(
            f"{model.name} does not speak {request.language!r}",
            why=f"It speaks {', '.join(model.languages)}",
            remedy="Leave language out, or choose another model",
            param="language",
        )
    return replace(request, voice=request.voice or names[0])


def _check(request: TranscriptionRequest, model: Described) -> None:
    """Raises RequestError for what the model cannot do."""
    if not 0 <= request.temperature <= HOTTEST:
        raise RequestError(
            f"The temperature {request.temperature} is not possible",
            remedy=f"Choose 0 (the most probable words) to {HOTTEST:g}",
            param="temperature",
        )
    if request.translate and not model.translation:
        raise UnsupportedError(
            f"{model.name} writes down what is said and cannot translate it",
            remedy="Choose a model that can, such as whisper-base",
            param="model",
        )
    if not languages_match(request.language, model.languages):
        raise UnsupportedError(
            f"{model.name} does not know the language {request.language!r}",
            why=f"It knows {', '.join(model.languages)}",
            remedy="Leave language out, or choose another model",
            param="language",
        )
