"""A replica in this process: what a model's pipeline does, in the form that is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from sonorant.catalogue import Catalogue
from sonorant.errors import SonorantError, UnsupportedError
from sonorant.families import resolve
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.replica.engines import Networks
from sonorant.replica.host import Hosts, ReplicaHost
from sonorant.replica.lifetime import Lifetime
from sonorant.replica.loading import Loading
from sonorant.replica.outgoing import Outgoing
from sonorant.replica.recognition import recognize
from sonorant.replica.synthesis import synthesize
from sonorant.replica.trial import counted
from sonorant.replica.vocoding import Source, sound
from sonorant.tasks import (
    AudioChunk,
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
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    Upload,
    Vocoder,
    VocodingRequest,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sonorant.audio.sandbox import Sandbox
    from sonorant.catalogue.part import Progress
    from sonorant.networks.engines.options import Value
    from sonorant.replica.device import Device


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
        self.card, folder = resolve(model, catalogue)
        self._device, self._sandbox, self._max_seconds = device, sandbox, max_seconds
        self._lexicon = lexicon
        self._figures = Figures()
        self._encoding = Meter(self._figures, "encoding")
        loading = Loading(
            self.card, folder, catalogue, device, options or {}, lexicon, precision, networks or {}, hosts
        )
        self._lifetime = Lifetime(loading, self._figures, known)
        self._foretold = 0

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def task(self) -> Task:
        return self.card.task

    @property
    def state(self) -> State:
        return self._lifetime.state

    @property
    def failure(self) -> SonorantError:
        """Why requests are refused while the model is not ready."""
        return self._lifetime.failure

    @property
    def reason(self) -> str:
        return str(self.failure) if self.state is State.FAILED else ""

    @property
    def notice(self) -> str:
        return ""

    @property
    def pipeline(self) -> Servable:
        """Raises NotReadyError while the model is not loaded."""
        return self._lifetime.loaded.pipeline

    def describe(self) -> Described:
        if self._lifetime.ready:
            loaded, cost = self._lifetime.loaded, self._lifetime.cost.cost
            described = loaded.pipeline.describe()
            return replace(described, cost=cost, artefact=loaded.artefact, batched=loaded.host.batched)
        return self.card.described()

    def load(self) -> Load:
        return self._device.load()

    def figures(self) -> tuple[Snapshot, ...]:
        predicted = self._device.underruns.predicted  # of all on the device: a server's process has one model
        self._figures.count("predicted_underruns", predicted - self._foretold)
        self._foretold = predicted
        return (self._figures.snapshot(),)

    async def start(self, progress: Progress | None = None) -> None:
        """Fetch what is missing, check it, load it and run it once. Sets `state`."""
        await self._lifetime.start(progress)

    async def probe(self, seconds: float) -> bool:
        """Run every network and one request through the pipeline. Raises what goes wrong."""
        await self._lifetime.probe(seconds)
        return True

    async def relax(self) -> None:
        """Give back what the last requests needed and the next may not."""
        await self._lifetime.relax()

    async def wake(self) -> None:
        self._pipeline_for(self.task)

    def tune(self, window_ms: float, max_frames: int) -> None:
        self._device.tune(window_ms, max_frames)

    async def unload(self) -> bool:
        return False  # its memory is this process'

    @property
    def idle_seconds(self) -> float:
        return 0.0  # what runs in this process needs no proof that it lives

    def stop(self) -> None:
        """Free the engines; no request may be running."""
        self._lifetime.stop()

    # Speech

    async def speak(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        outgoing, written = self._outgoing(request.terms, delivery), list[int]()
        text = text if isinstance(text, tuple) else counted(text, written)
        async with aclosing(outgoing.encoded(self._speech(request, text))) as events:
            async for event in events:
                yield event
        characters = sum(len(u.text) for u in text) if isinstance(text, tuple) else sum(written)
        self._lifetime.cost.observe(characters, outgoing.spent)

    async def mastered(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[AudioChunk, None]:
        """The sound that `speak` encodes, at the rate of `delivery`."""
        outgoing = self._outgoing(request.terms, delivery)
        async with aclosing(outgoing.mastered(self._speech(request, text))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _speech(self, request: SpeechRequest, text: Text) -> AsyncGenerator[AudioChunk, None]:
        synthesizer = cast(Synthesizer, self._pipeline_for(Task.SPEECH))
        return synthesize(synthesizer, replace(request, lexicon=self._lexicon + request.lexicon), text)

    # Transcription

    async def recognize(
        self, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """Transcribe audio that is decoded already, at the rate that `describe` names.

        Raises RequestError before the first event for what it cannot do.
        """
        recognizer = cast(Recognizer, self._pipeline_for(Task.TRANSCRIPTION))
        async with aclosing(recognize(recognizer, request, audio, self._device.clock)) as events:
            async for event in events:
                if isinstance(event, TranscriptEnd):
                    self._lifetime.cost.observe(event.duration, event.spent)
                yield event

    async def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]:
        decoded = self._heard(upload, self._pipeline_for(Task.TRANSCRIPTION))
        async with aclosing(decoded) as audio, aclosing(self.recognize(request, audio)) as events:
            async for event in events:
                yield event

    # Vocoding

    async def vocode(
        self, request: VocodingRequest, upload: Upload, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        outgoing, seconds = self._outgoing(request.terms, delivery), 0.0
        async with aclosing(outgoing.encoded(self._sound(upload))) as events:
            async for event in events:
                seconds += event.seconds
                yield event
        self._lifetime.cost.observe(seconds, outgoing.spent)

    async def vocoded(
        self, request: VocodingRequest, source: Source, delivery: Delivery
    ) -> AsyncGenerator[AudioChunk, None]:
        """The sound that `vocode` encodes, at the rate of `delivery`."""
        outgoing = self._outgoing(request.terms, delivery)
        async with aclosing(outgoing.mastered(self._sound(source))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _sound(self, source: Source) -> AsyncGenerator[AudioChunk, None]:
        vocoder = cast(Vocoder, self._pipeline_for(Task.VOCODING))
        return sound(vocoder, source, self._sandbox, self._max_seconds)

    # What else is told of a recording

    async def embed(self, audio: Upload | AsyncGenerator[AudioChunk, None]) -> NDArray[np.float32]:
        """The voice of a recording, or of audio at the rate that `describe` names: float32 [n], length 1."""
        embedder = cast(Embedder, self._pipeline_for(Task.EMBEDDING))
        async with aclosing(self._heard(audio, embedder)) as chunks:
            return await embedder.embed(chunks)

    async def score(self, audio: Upload | AsyncGenerator[AudioChunk, None]) -> float:
        """How good a recording sounds, or audio at the rate that `describe` names: 1 to 5."""
        scorer = cast(Scorer, self._pipeline_for(Task.SCORING))
        async with aclosing(self._heard(audio, scorer)) as chunks:
            return await scorer.score(chunks)

    async def detect(
        self, audio: Upload | AsyncGenerator[AudioChunk, None]
    ) -> AsyncGenerator[SpeechSpan, None]:
        """The stretches of speech in a recording, or in audio at the rate that `describe` names."""
        detector = cast(Detector, self._pipeline_for(Task.VAD))
        heard = self._heard(audio, detector)
        async with aclosing(heard) as chunks, aclosing(detector.detect(chunks)) as spans:
            async for span in spans:
                yield span

    def _heard(
        self, audio: Upload | AsyncGenerator[AudioChunk, None], pipeline: Servable
    ) -> AsyncGenerator[AudioChunk, None]:
        """A recording decoded at the model's rate; audio as it is."""
        if not isinstance(audio, Upload):
            return audio
        rate = pipeline.describe().sample_rate or 16_000
        return self._sandbox.decode(audio, sample_rate=rate, max_seconds=self._max_seconds)

    def _outgoing(self, terms: Terms, delivery: Delivery) -> Outgoing:
        rate = self.pipeline.describe().sample_rate or 0
        return Outgoing(self._device, self._encoding, rate, terms, delivery)

    def _pipeline_for(self, task: Task) -> Servable:
        if self.task is not task:
            raise UnsupportedError(f"{self.name} does {self.task}, not {task}", remedy="Choose another model")
        return self.pipeline
