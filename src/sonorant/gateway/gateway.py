"""The way from a protocol to a replica: route, check, admit, measure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence, Set
from contextlib import ExitStack, aclosing
from dataclasses import replace
from functools import partial
from time import monotonic

from sonorant.errors import BusyError, UnknownVoiceError, UnsupportedError
from sonorant.gateway.admission import Admission, Admitted
from sonorant.gateway.cache import Caching, SpeechCache, key_of, opened
from sonorant.gateway.estimate import size_of_recording, size_of_text
from sonorant.gateway.metering import metered
from sonorant.gateway.probes import Probes
from sonorant.gateway.recordings import probable_seconds
from sonorant.gateway.router import Able, Router
from sonorant.gateway.standing import Eased, Standing, affected
from sonorant.gateway.voices import resolve_voice
from sonorant.observe import logs
from sonorant.observe.context import request_id
from sonorant.observe.metrics import Metrics
from sonorant.observe.tracing import span, traceparent
from sonorant.settings import CacheSettings, KeySettings, LimitSettings, Settings
from sonorant.tasks import (
    Delivery,
    Described,
    Encoded,
    Quality,
    Replica,
    Segment,
    SpeechRequest,
    State,
    Task,
    Terms,
    Text,
    Tier,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    Upload,
    VocodingRequest,
    languages_match,
)
from sonorant.text.segment import once

log = logging.getLogger("sonorant.server")

REFUSED_SECONDS = 30.0
"""after which who was refused for want of memory may try again"""
FIRST_AUDIO_SECONDS = 0.1
"""how much audio counts as the first: a header or a click is none"""


class Gateway:
    """What every protocol speaks to. Its requests stop the replica when their iterator is closed."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        limits: LimitSettings,
        keys: Sequence[KeySettings] = (),
        cache: CacheSettings | None = None,
    ) -> None:
        """`cache`: None = nothing is kept. Raises MissingExtraError, SettingsError for one that cannot be."""
        self.router = Router(replicas)
        self.limits = limits
        self.admission = Admission(limits, keys)
        self.standing = Standing()
        self.used: dict[str, float] = {}
        """when a model was last asked for, by `time.monotonic`"""
        self.metrics = Metrics(self.router.replicas, lambda: self.standing.all)
        self.probes = Probes(self.router.replicas)
        cache = cache or CacheSettings(where="off")
        self.cache = SpeechCache(opened(cache, self.metrics.cache.holds), cache, self.metrics.cache)
        self.notice = ""
        """what is wrong although all goes on: why changed settings were rejected"""
        self.settled = False
        """all models have once been seen to work, or to have failed"""

    def take(self, settings: Settings) -> None:
        """What counts from the next request on."""
        self.limits = settings.limits
        self.admission.take(settings.limits, settings.server.keys)
        self.cache.take(settings.cache)

    def serve(self, replicas: Sequence[Replica]) -> None:
        """These models from the next request on; requests that run at another one are finished."""
        for replica in replicas:
            self.metrics.begin(replica)
        self.router.serve(replicas)

    async def speak(
        self,
        request: SpeechRequest,
        text: str | Text,
        delivery: Delivery,
        languages: Set[str] = frozenset(),
        caching: Caching | None = None,
    ) -> AsyncGenerator[Encoded, None]:
        """Encoded audio as it comes, or as it was kept. `request` may use aliases of models and voices.

        `languages` (primary subtags, "" = unknown) are those of the text: an alias means a model and a
        voice that know them.

        Raises RequestError (BusyError where there is no room) and NotReadyError before the first event.
        """
        self._check_open(request.terms)
        replica = await self._awake(self.voiced(request, text, languages))
        model = replica.describe()
        if request.instructions and not model.instructions:
            raise UnsupportedError(
                f"The voices of {replica.name} cannot follow `instructions`",
                remedy="Leave the field out, or use a model that can be told how to speak",
                param="instructions",
            )
        voice = resolve_voice(model, request.voice, languages)
        quality = self._quality(request.quality, model)
        terms = _traced(request.terms)
        request = replace(request, model=replica.name, voice=voice, quality=quality, terms=terms)
        if isinstance(text, tuple):
            text = tuple(replace(u, voice=u.voice and resolve_voice(model, u.voice)) for u in text)
        key = key_of(request, text, delivery, model)
        work = partial(self._spoken, replica, request, text, delivery, languages)
        events = self.cache.speak(key, request.terms, replica.name, caching or Caching(), work)
        async with aclosing(events):
            async for encoded in events:
                yield encoded

    async def _spoken(
        self,
        replica: Replica,
        request: SpeechRequest,
        text: str | Text,
        delivery: Delivery,
        languages: Set[str],
    ) -> AsyncGenerator[Encoded, None]:
        model = replica.describe()
        size = size_of_text(text, request.speed, model.cost)
        language = _known({request.language} - {""} or languages, model)
        with ExitStack() as held:
            with span("admission", model=replica.name):
                inside = held.enter_context(self.admission.admit(replica, size, request.terms, language))
            events = replica.speak(request, once(text) if isinstance(text, str) else text, delivery)
            async with aclosing(self._played(replica.name, inside, events)) as audio:
                async for encoded in audio:
                    yield encoded

    async def _played(
        self, model: str, inside: Admitted, events: AsyncGenerator[Encoded, None]
    ) -> AsyncGenerator[Encoded, None]:
        """The same audio, measured, and counted where it was admitted."""
        audio = metered(
            events,
            self.metrics.speech,
            model,
            seconds=lambda encoded: encoded.seconds,
            first=lambda _, audio: audio >= FIRST_AUDIO_SECONDS,
            underruns=self.metrics.speech.underruns,
        )
        async with aclosing(audio):
            async for encoded in audio:
                inside.progressed(encoded.seconds, encoded.spent)
                yield encoded
        inside.ended()

    async def vocode(
        self, request: VocodingRequest, upload: Upload, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]:
        """Encoded audio of a mel spectrogram, or of a recording's, as it comes.

        Raises RequestError (BusyError where there is no room) and NotReadyError before the first event.
        """
        self._check_open(request.terms)
        replica = await self._awake(self.router.choose(request.model, Task.VOCODING))
        request = replace(request, model=replica.name, terms=_traced(request.terms))
        seconds = await asyncio.to_thread(probable_seconds, upload)
        size = size_of_recording(seconds, replica.describe().cost)
        with ExitStack() as held:
            with span("admission", model=replica.name):
                inside = held.enter_context(self.admission.admit(replica, size, request.terms))
            events = replica.vocode(request, upload, delivery)
            async with aclosing(self._played(replica.name, inside, events)) as audio:
                async for encoded in audio:
                    yield encoded

    def voiced(
        self, request: SpeechRequest, text: str | Text, languages: Set[str], *, words: bool = False
    ) -> Replica:
        """The model that is to speak. `words`: it is to say when each is spoken. Raises as Router.choose."""
        voices = {request.voice, *(u.voice for u in (text if isinstance(text, tuple) else ()))}

        def able(model: Described) -> bool:
            try:
                for voice in voices:
                    resolve_voice(model, voice, languages)
            except UnknownVoiceError:
                return False
            told = model.instructions or not request.instructions
            return told and (model.word_times or not words)

        def choose(quality: Quality | None) -> Replica:
            return self.router.choose(request.model, Task.SPEECH, languages, quality=quality, able=able)

        return self._eased(request.quality, choose)

    def _eased(self, asked: Quality | None, choose: Callable[[Quality | None], Replica]) -> Replica:
        """The replica that is chosen with what was asked, or with what the steps make of it."""
        usual = choose(asked)
        for step in (Eased.FALLBACK, Eased.FAST):
            if step in self.standing and (step is Eased.FALLBACK or asked is None):
                other = choose(Quality.FAST)
                if other is not usual:
                    affected(step)
                return other
        return usual

    def _quality(self, asked: Quality | None, model: Described) -> Quality | None:
        """What the model is told. One without tiers is told nothing: what it says is the same."""
        for step in (Eased.LARGER, Eased.SMALLER):
            if model.batched and step in self.standing:
                affected(step)
        if not model.tiers:
            return None
        if asked is None and Eased.FAST in self.standing:
            affected(Eased.FAST)
            return Quality.FAST
        return asked

    def _check_open(self, terms: Terms) -> None:
        """Raises BusyError while there is no memory for more."""
        if Eased.REFUSE in self.standing or (Eased.REFUSE_BULK in self.standing and terms.tier is Tier.BULK):
            raise BusyError(
                "This server is short of memory and takes no more requests of this kind",
                remedy=f"Try again in {REFUSED_SECONDS:.0f} s",
                retry_after=REFUSED_SECONDS,
            )

    async def close(self) -> None:
        """Let go of what is held beside the replicas."""
        await self.cache.close()

    async def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """Segments as they are recognised, then the end. `request` may use aliases of models.

        Raises RequestError and NotReadyError before the first event.
        """
        self._check_open(request.terms)
        known = {request.language} - {""}
        replica = await self._awake(self._heard_by(request, known))
        model = replica.describe()
        if request.words and not model.word_times:
            raise UnsupportedError(
                f"{replica.name} does not measure when each word is said",
                why="Times are never invented here",
                remedy="Ask for segment times, or use a model that measures words",
                param="timestamp_granularities",
            )
        quality = self._quality(request.quality, model)
        request = replace(request, model=replica.name, quality=quality, terms=_traced(request.terms))
        size = size_of_recording(await asyncio.to_thread(probable_seconds, upload), model.cost)
        with ExitStack() as held:
            with span("admission", model=replica.name):
                spoken = _known(known, model)
                inside = held.enter_context(self.admission.admit(replica, size, request.terms, spoken))
            events = metered(
                replica.transcribe(request, upload),
                self.metrics.transcription,
                replica.name,
                seconds=lambda event: event.duration if isinstance(event, TranscriptEnd) else 0.0,
                first=lambda event, _: isinstance(event, Segment),
            )
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Segment):
                        logs.words(log, "heard: %r", event.text)
                        inside.progressed(event.end - inside.seconds)
                    else:
                        inside.progressed(event.duration - inside.seconds, event.spent)
                    yield event
            inside.ended()

    def _heard_by(self, request: TranscriptionRequest, known: Set[str]) -> Replica:
        choose = partial(
            self.router.choose,
            request.model,
            Task.TRANSCRIPTION,
            known,
            translating=request.translate,
            able=_hears(request),
        )
        return self._eased(request.quality, lambda quality: choose(quality=quality))

    async def _awake(self, replica: Replica) -> Replica:
        """What a model can do is not known before it has been loaded."""
        self.used[replica.name] = monotonic()
        if replica.state is State.UNLOADED:
            await replica.wake()
        return replica


def _hears(request: TranscriptionRequest) -> Able:
    """Whether a model can do all that is asked, as far as it says so; of itn it does not."""

    def able(model: Described) -> bool:
        told = model.translation or not request.translate
        return told and not request.itn and (model.word_times or not request.words)

    return able


def _traced(terms: Terms) -> Terms:
    """With the request's name in logs and the span that it is in, for the replica's process."""
    return replace(terms, id=terms.id or request_id.get(), trace=traceparent())


def _known(languages: Set[str], model: Described) -> str:
    """The one language of a request, primary subtag, where the model knows it; else "": so they stay few."""
    [language] = languages if len(languages) == 1 else {""}
    return language.split("-")[0].lower() if languages_match(language, model.languages) else ""
