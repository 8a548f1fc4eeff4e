"""Speech as subtitles: the words of a text with the times at which a voice says them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from sonorant.errors import UnsupportedError
from sonorant.tasks import Described, Encoded, Word
from sonorant.text.cues import cues
from sonorant.text.subtitles import srt, vtt

Shape = Literal["srt", "vtt"]
CONTENT_TYPES: dict[Shape, str] = {"srt": "text/plain", "vtt": "text/vtt"}


def check_timed(model: Described) -> None:
    """Raises UnsupportedError for a model whose subtitles would fit no audio of it."""
    if not model.word_times:
        raise UnsupportedError(
            f"{model.name} does not measure when each word is said",
            why="Times are never invented here",
            remedy="Choose a model that measures words, such as hibari or kokoro",
            param="response_format",
        )
    if model.varied:
        raise UnsupportedError(
            f"{model.name} says the same text at another pace each time",
            why="Subtitles by themselves would fit none of its recordings",
            remedy='Ask for audio and times together: stream_format "sse", timestamp_granularities ["word"]',
            param="response_format",
        )


async def subtitles(audio: AsyncGenerator[Encoded, None], shape: Shape) -> AsyncGenerator[bytes, None]:
    """One piece: the subtitles of a stream, when all of it has been spoken."""
    words: list[Word] = []
    async with aclosing(audio):
        async for encoded in audio:
            words += encoded.words or ()
    yield (srt if shape == "srt" else vtt)(cues(words)).encode()
