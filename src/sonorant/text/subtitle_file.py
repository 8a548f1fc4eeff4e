"""Subtitles beside an audio file: collected while it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sonorant.errors import RequestError, UnsupportedError, unwritable
from sonorant.tasks import AudioChunk, Word
from sonorant.text.cues import cues
from sonorant.text.subtitles import srt, vtt
from sonorant.text.timing import shifted

_SHAPES = {".srt": srt, ".vtt": vtt}


class SubtitleFile:
    """The subtitles of one stream of speech."""

    def __init__(self, path: Path) -> None:
        """Raises RequestError for an ending other than .srt and .vtt, and for a folder that is not there."""
        if path.suffix.lower() not in _SHAPES:
            raise RequestError(
                f"{path.name!r} does not end like subtitles that Sonorant writes",
                remedy="End it in .srt or .vtt",
                param="subtitles",
            )
        if not path.parent.is_dir():
            raise RequestError(
                f"{path} cannot be written", why=f"There is no folder {path.parent}", param="subtitles"
            )
        self._path = path
        self._words: list[Word] = []
        self._seconds = 0.0

    def watched(self, chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
        """The same chunks. Raises UnsupportedError for one whose words were not measured."""
        for chunk in chunks:
            if chunk.words is None:
                raise UnsupportedError(
                    "This model does not measure when each word is said",
                    why="Times are never invented here",
                    remedy="Leave the subtitles out, or choose a model that measures words",
                    param="subtitles",
                )
            self.add(shifted(chunk.words, self._seconds))
            self._seconds += chunk.seconds
            yield chunk

    def add(self, words: Iterable[Word]) -> None:
        """Words with their times from the start of the stream."""
        self._words += words

    def write(self) -> None:
        """All that was collected. Raises RequestError where it cannot be written."""
        try:
            self._path.write_text(_SHAPES[self._path.suffix.lower()](cues(self._words)), encoding="utf-8")
        except OSError as error:
            raise unwritable(self._path, error, param="subtitles") from error
