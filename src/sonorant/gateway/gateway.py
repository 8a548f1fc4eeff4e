"""The way from a protocol to a replica: route, check, admit, measure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence, Set
from contextlib import ExitStack, aclosing
from dataclasses import replace
from functools import partial

from sonorant.errors import UnsupportedError
from sonorant.gateway.admission import Admission
from sonorant.gateway.cache import Caching, SpeechCache, key_of, opened
from sonorant.gateway.estimate import size_of_recording, size_of_text
from sonorant.gateway.metering import metered
from sonorant.gateway.probes import Probes
from sonorant.gateway.recordings import probable_seconds
from sonorant.gateway.router import Router
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
    Replica,
    Segment,
    SpeechRequest,
    State,
    Task,
    Terms,
    Text,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    Upload,
    languages_match,
)
from sonorant.text.segment import once

log = logging.getLogger("sonorant.server")

FIRST_AUDIO_SECONDS = 0.1
"""how much audio counts as the first: a header or a click is none"""


class Gateway:
    """What every protocol speaks to. Both methods stop the replica when their iterator is closed."""

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
        self.metrics = Metrics(self.router.replicas)
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
        replica = await self._awake(self.router.choose(request.model, Task.SPEECH, languages))
        model = replica.describe()
        if request.instructions and not model.instructions:
            raise UnsupportedError(
                f"The voices of {replica.name} cannot follow `instructions`",
                remedy="Leave the field out, or use a model that can be told how to speak",
                param="instructions",
            )
        voice = resolve_voice(model, request.voice, languages)
        request = replace(request, model=replica.name, voice=voice, terms=_traced(request.terms))
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
            events = metered(
                replica.speak(request, once(text) if isinstance(text, str) else text, delivery),
                self.metrics.speech,
                replica.name,
                seconds=lambda encoded: encoded.seconds,
                first=lambda _, audio: audio >= FIRST_AUDIO_SECONDS,
                underruns=self.metrics.speech.underruns,
            )
            async with aclosing(events):
                async for encoded in events:
                    inside.progressed(encoded.seconds, encoded.spent)
                    yield encoded
            inside.ended()

    async def close(self) -> None:
        """Let go of what is held beside the replicas."""
        await self.cache.close()

    async def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """Segments as they are recognised, then the end. `request` may use aliases of models.

        Raises RequestError and NotReadyError before the first event.
        """
        known = {request.language} - {""}
        chosen = self.router.choose(request.model, Task.TRANSCRIPTION, known, translating=request.translate)
        replica = await self._awake(chosen)
        model = replica.describe()
        if request.words and not model.word_times:
            raise UnsupportedError(
                f"{replica.name} does not measure when each word is said",
                why="Times are never invented here",
                remedy="Ask for segment times, or use a model that measures words",
                param="timestamp_granularities",
            )
        request = replace(request, model=replica.name, terms=_traced(request.terms))
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

    async def _awake(self, replica: Replica) -> Replica:
        """What a model can do is not known before it has been loaded."""
        if replica.state is State.UNLOADED:
            await replica.wake()
        return replica


def _traced(terms: Terms) -> Terms:
    """With the request's name in logs and the span that it is in, for the replica's process."""
    return replace(terms, id=terms.id or request_id.get(), trace=traceparent())


def _known(languages: Set[str], model: Described) -> str:
    """The one language of a request, primary subtag, where the model knows it; else "": so they stay few."""
    [language] = languages if len(languages) == 1 else {""}
    return language.split("-")[0].lower() if languages_match(language, model.languages) else ""
