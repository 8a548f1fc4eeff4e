"""The first requests of a model, which are its own: whether it works, and what a request costs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from sonorant.audio.babble import babble
from sonorant.catalogue import ModelCard
from sonorant.errors import EngineError
from sonorant.replica.claims import Claim, Clock, under
from sonorant.replica.synthesis import checked
from sonorant.tasks import (
    AudioChunk,
    Cost,
    Recognizer,
    Servable,
    SpeechRequest,
    Synthesizer,
    Task,
    TranscriptionRequest,
    Vocoder,
)
from sonorant.text.segment import once

SHORT, LONG = "1, 2, 3.", "One sentence more shows what a longer text costs to say aloud."
SPOKEN_SECONDS = (2.0, 5.0)
QUICK = 0.5
"""device-seconds of the short request, beyond which the long one is left out"""
KNOWN_UNITS = (5.0, 50.0)
"""a cost that was known before counts as much as two requests of these lengths"""
FORGET = 0.05
"""of what is known, with every request"""


class RequestCost:
    """fixed + each × units device-seconds: a line through what requests took, the latest most of all."""

    def __init__(self, known: Cost | None = None) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0
        if known is not None:
            for units in KNOWN_UNITS:
                self.observe(units, known.of(units))

    def observe(self, units: float, seconds: float) -> None:
        """A request has taken so much."""
        keep = 1 - FORGET
        self._weight = keep * self._weight + 1
        self._x, self._y = keep * self._x + units, keep * self._y + seconds
        self._xx, self._xy = keep * self._xx + units * units, keep * self._xy + units * seconds

    @property
    def cost(self) -> Cost | None:
        """None = nothing was measured."""
        if not self._weight:
            return None
        x, y = self._x / self._weight, self._y / self._weight
        variance = self._xx / self._weight - x * x
        each = max(0.0, (self._xy / self._weight - x * y) / variance) if variance > 1e-6 * x * x else 0.0
        fixed = y - each * x
        if fixed < 0 or not each:  # one length only, or noise: half of it does not depend on the length
            fixed = 0.0 if fixed < 0 else y / 2
            each = (y - fixed) / x if x else 0.0
        return Cost(fixed, each)


async def tried(pipeline: Servable, card: ModelCard, clock: Clock, *, briefly: bool = False) -> RequestCost:
    """Requests through the whole pipeline, and what they cost. `briefly`: only whether they are answered.

    Raises EngineError where nothing comes of them.
    """
    if card.task is Task.SPEECH:
        synthesizer = cast(Synthesizer, pipeline)
        request = checked(SpeechRequest(model=card.name), synthesizer.describe())
        return await try_speech(synthesizer, request, clock, briefly=briefly)
    if card.task is Task.TRANSCRIPTION:
        recognizer, heard = cast(Recognizer, pipeline), TranscriptionRequest(model=card.name)
        return await try_transcription(recognizer, heard, clock, briefly=briefly)
    if card.task is Task.VOCODING:
        return await try_vocoding(cast(Vocoder, pipeline), clock, briefly=briefly)
    return RequestCost()


async def try_speech(
    synthesizer: Synthesizer, request: SpeechRequest, clock: Clock, *, briefly: bool = False
) -> RequestCost:
    """`briefly`: only whether it speaks. Raises EngineError where nothing is said."""
    found = RequestCost()
    for i, text in enumerate((SHORT,) if briefly else (SHORT, SHORT, LONG)):
        claim, seconds = Claim(request.terms, clock), 0.0
        async with aclosing(under(claim, synthesizer.synthesize(request, once(text)))) as chunks:
            async for chunk in chunks:
                seconds += chunk.seconds
        if not seconds:
            raise EngineError(f"{request.model} said nothing when it was tried")
        if i:  # the first one pays for what is made on demand, such as a grammar
            found.observe(len(text), claim.spent)
            if claim.spent > QUICK:
                break
    return found


async def try_transcription(
    recognizer: Recognizer, request: TranscriptionRequest, clock: Clock, *, briefly: bool = False
) -> RequestCost:
    """`briefly`: only whether it listens. What is written down does not matter."""
    found = RequestCost()
    rate = recognizer.describe().sample_rate or 16_000
    for seconds in SPOKEN_SECONDS[: 1 if briefly else None]:
        claim = Claim(request.terms, clock)
        async with aclosing(under(claim, recognizer.recognize(request, _heard(seconds, rate)))) as events:
            async for _ in events:
                pass
        found.observe(seconds, claim.spent)
        if claim.spent > QUICK:
            break
    return found


async def try_vocoding(vocoder: Vocoder, clock: Clock, *, briefly: bool = False) -> RequestCost:
    """Copies vowels that nobody said. `briefly`: only whether it does. Raises EngineError for silence."""
    found = RequestCost()
    rate = vocoder.describe().sample_rate or 0
    for seconds in SPOKEN_SECONDS[: 1 if briefly else None]:
        claim, heard = Claim(clock=clock), False
        sound = vocoder.vocode(vocoder.analyse(_heard(seconds, rate)))
        async with aclosing(under(claim, sound)) as chunks:
            async for chunk in chunks:
                heard = heard or bool(chunk.samples.any())
        if not heard:
            raise EngineError(f"{vocoder.describe().name} made no sound when it was tried")
        found.observe(seconds, claim.spent)
        if claim.spent > QUICK:
            break
    return found


async def _heard(seconds: float, rate: int) -> AsyncGenerator[AudioChunk, None]:
    yield AudioChunk(babble(seconds, rate), rate)


async def counted(text: AsyncIterator[str], counts: list[int]) -> AsyncIterator[str]:
    """The same pieces; the characters of each are added to `counts`."""
    async for piece in text:
        counts.append(len(piece))
        yield piece
