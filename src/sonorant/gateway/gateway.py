"""The way from a protocol to a replica: route, check, admit, measure."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence, Set
from contextlib import ExitStack, aclosing
from dataclasses import replace

from sonorant.errors import UnsupportedError
from sonorant.gateway.admission import Admission
from sonorant.gateway.metering import metered
from sonorant.gateway.probes import Probes
from sonorant.gateway.router import Router
from sonorant.gateway.voices import resolve_voice
from sonorant.observe import logs
from sonorant.observe.context import request_id
from sonorant.observe.metrics import Metrics
from sonorant.observe.tracing import span, traceparent
from sonorant.settings import LimitSettings
from sonorant.tasks import (
    Delivery,
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
)

log = logging.getLogger("sonorant.server")

FIRST_AUDIO_SECONDS = 0.1
"""how much audio counts as the first: a header or a click is none"""


class Gateway:
    """What every protocol speaks to. Both methods stop the replica when their iterator is closed."""

    def __init__(self, replicas: Sequence[Replica], limits: LimitSettings) -> None:
        self.router = Router(replicas)
        self.limits = limits
        self.admission = Admission(limits.waiting)
        self.metrics = Metrics(self.router.replicas)
        self.probes = Probes(self.router.replicas)

    async def speak(
        self,
        request: SpeechRequest,
        text: Text,
        delivery: Delivery,
        languages: Set[str] = frozenset(),
    ) -> AsyncGenerator[Encoded, None]:
        """Encoded audio as it comes. `request` may use aliases of models and voices.

        `languages` (primary subtags, "" = unknown) are those of the text: an alias means a model and a
        voice that know them.

        Raises RequestError and NotReadyError before the first event.
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
        with ExitStack() as held:
            with span("admission", model=replica.name):
                held.enter_context(self.admission.admit(replica.name))
            events = metered(
                replica.speak(request, text, delivery),
                self.metrics.speech,
                replica.name,
                seconds=lambda encoded: encoded.seconds,
                first=lambda _, audio: audio >= FIRST_AUDIO_SECONDS,
                underruns=self.metrics.speech.underruns,
            )
            async with aclosing(events):
                async for encoded in events:
                    yield encoded

    async def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """Segments as they are recognised, then the end. `request` may use aliases of models.

        Raises RequestError and NotReadyError before the first event.
        """
        known = {request.language} - {""}
        chosen = self.router.choose(request.model, Task.TRANSCRIPTION, known, translating=request.translate)
        replica = await self._awake(chosen)
        if request.words and not replica.describe().word_times:
            raise UnsupportedError(
                f"{replica.name} does not measure when each word is said",
                why="Times are never invented here",
                remedy="Ask for segment times, or use a model that measures words",
                param="timestamp_granularities",
            )
        request = replace(request, model=replica.name, terms=_traced(request.terms))
        with ExitStack() as held:
            with span("admission", model=replica.name):
                held.enter_context(self.admission.admit(replica.name))
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
                    yield event

    async def _awake(self, replica: Replica) -> Replica:
        """What a model can do is not known before it has been loaded."""
        if replica.state is State.UNLOADED:
            await replica.wake()
        return replica


def _traced(terms: Terms) -> Terms:
    """With the request's name in logs and the span that it is in, for the replica's process."""
    return replace(terms, id=terms.id or request_id.get(), trace=traceparent())
