"""What the library answers with: speech and transcripts, as they come or whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import numpy as np

from sonorant.audio.encoding import output_rate
from sonorant.audio.files import write
from sonorant.stream import Loop, Stream, begun
from sonorant.tasks import AudioChunk, AudioFormat, Segment, Word
from sonorant.text.joint import joined
from sonorant.text.subtitle_file import SubtitleFile
from sonorant.text.timing import shifted


class Speech(Stream[AudioChunk, AudioChunk]):
    """Spoken audio, a sentence or less at a time; `.result()` is one chunk with all of it."""

    sample_rate = 0
    """hertz"""
    ignored: tuple[str, ...] = ()
    """what of the markup could not be obeyed"""

    def _collect(self, items: list[AudioChunk]) -> AudioChunk:
        silence = np.zeros(0, np.float32)  # all there is where every chunk has been taken already
        samples = np.concatenate([silence, *(chunk.samples for chunk in items)])
        return AudioChunk(samples, self.sample_rate, _words(items))

    def save(
        self,
        path: str | Path,
        sample_rate: int | None = None,
        *,
        format: str = "",
        subtitles: str | Path | None = None,
    ) -> Path:
        """Write the audio while it is made.

        `format`: an AudioFormat or its name; "" = what the file's ending names. `subtitles`: a file ending in
        .srt or .vtt for the subtitles of this very audio. Raises RequestError for an unknown format and for
        another ending, UnsupportedError for a rate that the format cannot hold, and for subtitles where the
        model does not measure words.
        """
        path = Path(path)
        kind = AudioFormat.named(format) if format else AudioFormat.of(path)
        output_rate(kind, self.sample_rate, sample_rate)
        track = SubtitleFile(Path(subtitles)) if subtitles is not None else None
        chunks = begun(track.watched(self) if track else self)
        with path.open("w+b") as file:
            write(chunks, file, kind, sample_rate)
        if track:
            track.write()
        return path


class Transcript(Stream[Segment, "Whole"]):
    """Segments as they are recognised; `.result()` is the whole transcript, `.text` its text."""

    duration: float | None = None
    """seconds of audio, known when all of it has been heard"""

    def __init__(self, loop: Loop, items: AsyncIterator[Segment]) -> None:
        super().__init__(loop, items)
        self._taken: list[Segment] = []

    async def _next(self) -> Segment:
        self._taken.append(await super()._next())
        return self._taken[-1]

    def _collect(self, items: list[Segment]) -> Whole:
        return Whole(tuple(items), self.duration or 0.0)

    @property
    def text(self) -> str:
        """Wait for the end; the text of all segments, of those that were taken before as well."""
        self.result()
        return joined(segment.text for segment in self._taken)


class Whole:
    """A complete transcript."""

    def __init__(self, segments: tuple[Segment, ...], duration: float) -> None:
        self.segments, self.duration = segments, duration

    @property
    def text(self) -> str:
        return joined(segment.text for segment in self.segments)


def _words(chunks: Iterable[AudioChunk]) -> tuple[Word, ...] | None:
    """Those of all chunks, from the start of the first; None where one has none measured."""
    words: list[Word] = []
    began = 0.0
    for chunk in chunks:
        if chunk.words is None:
            return None
        words += shifted(chunk.words, began)
        began += chunk.seconds
    return tuple(words)
