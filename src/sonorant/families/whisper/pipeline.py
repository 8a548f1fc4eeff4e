"""Audio → stretches of speech → windows → batches → text, with the times of the recording."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sonorant.audio.endpointing import Endpointing
from sonorant.errors import ModelFileError, UnsupportedError
from sonorant.families.whisper.engine import Engine, Manner
from sonorant.families.whisper.layout import SAMPLE_RATE, missing
from sonorant.families.whisper.loading import open_model
from sonorant.families.whisper.phrases import Piece, phrases
from sonorant.families.whisper.windows import LONGEST, Window, batched, packed
from sonorant.tasks import (
    AudioChunk,
    Described,
    Detector,
    Normalizer,
    Segment,
    Task,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
    Word,
    languages_match,
)
from sonorant.text.timing import as_written

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host

BATCH = 2
"""windows that a worker hears at once: more gain little, and nothing else can begin meanwhile"""
AT_ONCE = 1
"""calls that are computed at a time, because each has every core; the other slots stay free"""

PAUSE = 2.0
"""seconds of silence after which somebody may speak another language"""
_MARKS = str.maketrans(",?!:;", "，？！：；")
_MARK = re.compile(r"(?<=[\u4e00-\u9fff])[,?!:;]")


class Whisper:
    """A `Recognizer` whose library owns everything below the windows: no signature, no lane.

    Memory is bounded by a batch, not by the audio's length. A batch cannot be interrupted: a request that
    is cancelled computes until its running step ends (seconds), and the next request begins after that.
    """

    def __init__(
        self, card: ModelCard, engine: Engine, vad: Detector, normalizer: Normalizer, host: Host
    ) -> None:
        self._card, self._engine, self._vad, self._normalizer = card, engine, vad, normalizer
        self._host = host
        self._turn = asyncio.Semaphore(AT_ONCE)

    def describe(self) -> Described:
        return Described(
            name=self._card.name,
            task=Task.TRANSCRIPTION,
            languages=self._card.languages,
            sample_rate=SAMPLE_RATE,
            licence=self._card.licence,
            word_times=True,
            translation=self._engine.multilingual,
        )

    async def recognize(
        self, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """audio: 16 kHz. A `Segment` for a sentence, or a stretch of speech; then `TranscriptEnd`.

        Their times are those of their words, which come from the network's attention to the sound; a
        translation's are the network's own time marks.

        Without `request.language` it is detected for each window, of which a pause begins a new one; where
        that is uncertain, it is that of the window before. "zh" is written in simplified script; "zh-TW",
        "zh-HK" and "zh-Hant" only prompt for traditional script, which the network mostly follows. Raises
        UnsupportedError for a language that the model does not know.
        """
        manner = self._manner(request)
        heard, language, last = 0, "", 0.0

        async def counted() -> AsyncGenerator[AudioChunk, None]:
            nonlocal heard
            async for chunk in audio:
                heard += len(chunk.samples)
                yield chunk

        async with (
            aclosing(self._vad.detect(counted(), Endpointing(longest=LONGEST))) as spans,
            aclosing(packed(spans, math.inf if request.language else PAUSE)) as windows,
            aclosing(batched(windows, BATCH * self._engine.workers)) as batches,
        ):
            async for batch in batches:
                segments, language = await self._hear(batch, request, manner, language)
                for segment in segments:
                    start = max(segment.start, last)  # times that overlap by a step of the marks
                    last = max(segment.end, start)
                    yield replace(segment, start=start, end=last)
        yield TranscriptEnd(heard / SAMPLE_RATE)

    def _manner(self, request: TranscriptionRequest) -> Manner:
        if not languages_match(request.language, self._card.languages):
            raise UnsupportedError(
                f"{self._card.name} does not know the language {request.language!r}",
                why=f"It knows {', '.join(self._card.languages)}",
                remedy="Leave language out, or choose another model",
                param="language",
            )
        if request.translate and request.words:
            raise UnsupportedError(
                "The words of a translation have no times of their own",
                why="Nobody said them",
                remedy="Ask for segment times",
                param="timestamp_granularities",
            )
        written = "en" if request.translate else request.language
        if request.itn and not languages_match(written, self._normalizer.describe().languages):
            raise UnsupportedError(
                f"Spoken numbers cannot be written as digits in {written!r}",
                why=f"There are grammars for {', '.join(self._normalizer.describe().languages)}",
                remedy="Leave itn out",
                param="itn",
            )
        return Manner(
            language=request.language.split("-")[0].lower(),
            prompt=f" {request.prompt.strip()}" if request.prompt.strip() else "",
            traditional=_is_traditional(request.language),
            temperature=request.temperature,
            translate=request.translate,
        )

    async def _hear(
        self, windows: Sequence[Window], request: TranscriptionRequest, manner: Manner, before: str
    ) -> tuple[list[Segment], str]:
        """One batch, on a slot of the device, and its last language. The turn ends when the work does."""
        await self._turn.acquire()
        stopped = Event()
        work = self._host.call(self._segments, windows, request, manner, before, stopped)
        running = asyncio.ensure_future(work)

        def ended(done: asyncio.Future[tuple[list[Segment], str]]) -> None:
            self._turn.release()
            _ = done.cancelled() or done.exception()  # read here, for nobody may be waiting any more

        running.add_done_callback(ended)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stopped.set()
            raise

    def _segments(
        self,
        windows: Sequence[Window],
        request: TranscriptionRequest,
        manner: Manner,
        before: str,
        stopped: Event,
    ) -> tuple[list[Segment], str]:
        heard = self._engine.hear([window.samples for window in windows], manner, before, stopped)
        segments = [
            self._segment(request, window, phrase, one.language, one.avg_logprob)
            for window, one in zip(windows, heard, strict=False)  # none is heard once it is stopped
            for phrase in _phrases(one.pieces, window, request)
        ]
        return segments, heard[-1].language if heard else before

    def _segment(
        self,
        request: TranscriptionRequest,
        window: Window,
        phrase: list[Piece],
        language: str,
        logprob: float,
    ) -> Segment:
        text = "".join(piece.text for piece in phrase).strip()
        words = tuple(Word(p.text.strip(), *window.interval(p.start, p.end)) for p in phrase)
        start, end = words[0].start, words[-1].end
        if request.translate:
            language = "en"
        elif language == "zh":
            traditional = _is_traditional(request.language)
            text = self._chinese(text, traditional)
            words = tuple(replace(w, text=self._chinese(w.text, traditional)) for w in words)
        if request.itn:
            text = self._normalizer.written(text, language)
            words = as_written(text, words)
        return Segment(
            start=start,
            end=end,
            text=text,
            language=language,
            tokens=tuple(token for piece in phrase for token in piece.tokens),
            avg_logprob=logprob,
            no_speech_prob=1 - window.probability(phrase[0].start, phrase[-1].end),
            words=words if request.words else None,
        )

    def _chinese(self, text: str, traditional: bool) -> str:
        """With the marks of Chinese, for which the network writes those of English."""
        text = _MARK.sub(lambda mark: mark[0].translate(_MARKS), text)
        return text if traditional else self._normalizer.simplified(text)


def _phrases(pieces: Sequence[Piece], window: Window, request: TranscriptionRequest) -> Iterable[list[Piece]]:
    return [[piece] for piece in pieces] if request.translate else phrases(pieces, window.joints)


def _is_traditional(language: str) -> bool:
    primary, *rest = language.lower().split("-")
    return primary == "zh" and not {"tw", "hk", "mo", "hant"}.isdisjoint(rest)


def load(card: ModelCard, folder: Path, host: Host) -> Whisper:
    """Raises ModelFileError, EngineError, and MissingExtraError without faster-whisper."""
    if absent := missing(folder):
        raise ModelFileError(
            f"{card.name}: the folder lacks {', '.join(absent)}",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    engine = Engine(*open_model(folder, host.device, host.threads))
    engine.warm_up()
    return Whisper(card, engine, host.part("vad"), host.part("normalizer"), host)
