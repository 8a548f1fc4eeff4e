"""What the library is given: text and audio, in whatever form a program has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from pathlib import Path

import numpy as np

from sonorant.errors import AudioError, TextError
from sonorant.stream import in_daemon
from sonorant.tasks import AudioChunk, Upload
from sonorant.text.segment import once

LOUDEST = 2.0
"""samples beyond [-1, 1] by rounding or overshoot are clipped; beyond this they are in another scale"""
LOWEST_RATE = 1_000
"""hertz"""

Text = str | Iterable[str] | AsyncIterable[str]
Audio = str | Path | bytes | AudioChunk


def uploaded(audio: str | Path | bytes) -> Upload:
    """Raises AudioError where there is no such file."""
    if isinstance(audio, bytes):
        return Upload(audio)
    path = Path(audio)
    if not path.is_file():
        raise AudioError(f"There is no file {path}", remedy="Check the path", param="file")
    return Upload(path, path.name)


async def resampled(audio: AudioChunk, rate: int) -> AsyncGenerator[AudioChunk, None]:
    """At `rate` hertz, a second at a time. Raises AudioError for what is no audio."""
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
    resampler = Resampler(audio.sample_rate, rate)
    for start in range(0, len(samples), audio.sample_rate):
        second = resampler.process(samples[start : start + audio.sample_rate])
        yield AudioChunk(np.clip(second, -1, 1), rate)  # a resampler overshoots where audio is clipped
    yield AudioChunk(np.clip(resampler.flush(), -1, 1), rate)


def pieces_of(text: Text, home: asyncio.AbstractEventLoop | None) -> AsyncIterator[str]:
    """`home`: the event loop on which asynchronous text is awaited. Raises TextError for an empty string."""
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
