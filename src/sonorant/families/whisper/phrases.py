"""What Whisper writes, piece by piece with its times, and the phrases that it makes up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TIME_STEP = 0.02
"""seconds between two time marks"""
LONG = 6.0
"""seconds after which a phrase ends at a comma, too: subtitles are read in such pieces"""

_FULL_STOPS, _COMMAS = ".?!。？！…", ",;:，；：、"


@dataclass(frozen=True, slots=True)
class Piece:
    """A word with the punctuation beside it; in a translation, what stands between two time marks."""

    text: str
    """with the space before it, where the language has one"""
    tokens: tuple[int, ...]
    start: float
    """seconds of the window"""
    end: float


def phrases(words: Iterable[Piece], joints: Sequence[float]) -> Iterator[list[Piece]]:
    """Words, cut after sentences, and where the window leaves out a pause: at `joints`, seconds of it."""
    phrase: list[Piece] = []
    for word in words:
        if phrase and _ends(phrase, word, joints):
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase


def _ends(phrase: list[Piece], word: Piece, joints: Sequence[float]) -> bool:
    before = phrase[-1]
    if before.text.endswith(tuple(_FULL_STOPS)):
        return True
    if before.text.endswith(tuple(_COMMAS)) and before.end - phrase[0].start > LONG:
        return True
    return any((before.start + before.end) / 2 < joint <= (word.start + word.end) / 2 for joint in joints)


def marked(tokens: Sequence[int], seconds: float, tokenizer: Any) -> list[Piece]:
    """Tokens with time marks among them → what stands between these, in a window of so many seconds.

    What is marked after the window's end was not said in it.
    """
    pieces: list[Piece] = []
    start, text = 0.0, list[int]()

    def end_at(end: float) -> None:
        written = tokenizer.decode(text)
        if written.strip() and start < seconds:
            pieces.append(Piece(written, tuple(text), start, min(end, seconds)))

    for token in tokens:
        if token < tokenizer.eot:
            text.append(token)
        elif token >= tokenizer.timestamp_begin:
            mark = (token - tokenizer.timestamp_begin) * TIME_STEP
            if text:
                end_at(mark)
            start, text = mark, []
    if text:
        end_at(seconds)
    return pieces
