"""Audio → stretches of speech → windows → shares → text, with the times of the recording."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from sonorant.audio.endpointing import Endpointing
from sonorant.errors import ModelFileError, UnsupportedError
from sonorant.families.whisper.engine import BEAM, BEAMS, Encoded, Engine, Manner, settled
from sonorant.families.whisper.layout import SAMPLE_RATE, missing
from sonorant.families.whisper.loading import open_model
from sonorant.families.whisper.phrases import Piece, phrases
from sonorant.families.whisper.sharing import shared_out
from sonorant.families.whisper.windows import LONGEST, Window, packed
from sonorant.tasks import (
    AudioChunk,
    Described,
    Detector,
    Normalizer,
    Segment,
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

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 2
"""windows that a worker hears at once: more gain little, and keep other requests waiting"""
PAUSE = 2.0
"""seconds of silence after which somebody may speak another language"""
_MARKS = str.maketrans(",?!:;", "，？！：；")
_MARK = re.compile(r"(?<=[\u4e00-\u9fff])[,?!:;]")


class Whisper:
    """A `Recognizer` whose library owns everything below the windows: no signature, no lane.

    The library's workers fill the cores. Each has a thread here that waits for it, so that the device's
    slots stay free for what is short; requests share the workers, first come first served. Memory is
    bounded by the windows that wait and are worked on, not by the audio's length. A step of a worker
    cannot be interrupted: when a request is cancelled its running steps end (seconds), and no more begin.
    """

    def __init__(self, card: ModelCard, engine: Engine, vad: Detector, normalizer: Normalizer) -> None:
        self._card, self._engine, self._vad, self._normalizer = card, engine, vad, normalizer
        self._pool = ThreadPoolExecutor(engine.workers, thread_name_prefix=f"sonorant-{card.name}")

    def describe(self) -> Described:
        return replace(
            self._card.described(),
            sample_rate=SAMPLE_RATE,
            word_times=True,
            translation=self._engine.multilingual,
            tiers=True,
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
        UnsupportedError for words of a translation, and for itn where there is no grammar.
        """
        manner, stopped = self._manner(request), Event()
        heard, last = 0, 0.0
        language: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        language.set_result("")

        async def counted() -> AsyncGenerator[AudioChunk, None]:
            nonlocal heard
            async for chunk in audio:
                heard += len(chunk.samples)
                yield chunk

        def hear(share: list[Window]) -> Coroutine[Any, Any, list[Segment]]:
            nonlocal language
            before, language = language, asyncio.get_running_loop().create_future()
            return self._hear(share, request, manner, before, language, stopped)

        try:
            async with (
                aclosing(self._vad.detect(counted(), Endpointing(longest=LONGEST))) as spans,
                aclosing(packed(spans, math.inf if request.language else PAUSE)) as windows,
                aclosing(shared_out(windows, hear, workers=self._engine.workers, most=BATCH)) as shares,
            ):
                async for segments in shares:
                    for segment in segments:
                        start = max(segment.start, last)  # times that overlap by a step of the marks
                        last = max(segment.end, start)
                        yield replace(segment, start=start, end=last)
        finally:
            stopped.set()
        yield TranscriptEnd(heard / SAMPLE_RATE)

    def _manner(self, request: TranscriptionRequest) -> Manner:
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
            beam=BEAMS[request.quality] if request.quality else BEAM,
        )

    async def _hear(
        self,
        windows: Sequence[Window],
        request: TranscriptionRequest,
        manner: Manner,
        before: asyncio.Future[str],
        last: asyncio.Future[str],
        stopped: Event,
    ) -> list[Segment]:
        """A share of the windows. `before`: the language before it; `last` becomes that of its last."""
        try:
            samples = [window.samples for window in windows]
            encoded = await self._call(self._engine.encode, samples, manner)
            languages = settled(encoded.detected, await before)
            last.set_result(languages[-1])
            return await self._call(self._segments, windows, encoded, languages, request, manner, stopped)
        finally:
            last.cancel()  # if it failed: nobody waits for it

    async def _call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a worker, off the event loop. Even when nobody waits any more it runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))

    def _segments(
        self,
        windows: Sequence[Window],
        encoded: Encoded,
        languages: Sequence[str],
        request: TranscriptionRequest,
        manner: Manner,
        stopped: Event,
    ) -> list[Segment]:
        heard = self._engine.hear(encoded, languages, manner, stopped)
        return [
            self._segment(request, window, phrase, one.language, one.avg_logprob)
            for window, one in zip(windows, heard, strict=False)  # none is heard once it is stopped
            for phrase in _phrases(one.pieces, window, request)
        ]

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
    return Whisper(card, engine, host.part("vad"), host.part("normalizer"))
