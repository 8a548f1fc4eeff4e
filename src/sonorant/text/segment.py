"""Sentences out of a stream of text, each as soon as it is certain where it ends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

# Where a sentence may end: at its marks with the quotes and brackets that close behind them, or at a
# paragraph's end. In the buffer every run of white space is one space, one line end (a wrapped line)
# or two (a paragraph).
_MARKS = re.compile(r"[.!?…。！？।]+[\"'”’)\]»」』）]*|\n\n")
_CLOSING = "\"'”’)]»」』）"
_CJK_MARKS = frozenset("。！？")
IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
CLAUSE = re.compile(r"[,;:—–]+[\"'”’)\]]*\s|[，；：、][”’」』）》]*|\s[—–-]\s")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:(?:[A-Z]\.)*[A-Z]|Mr|Mrs|Ms|Mx|Dr|Prof|St|Mt|Ft|Jr|Sr|Gen|Col|Lt|Sgt|Capt|Rev|Hon"
    r"|Pres|Gov|Sen|Rep|vs|etc|e\.g|i\.e|cf|al|approx|No|Nos|Fig|figs?|Vol|Ch|pp?|Inc|Ltd|Co|Corp|Jan|Feb"
    r"|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun|a\.m|p\.m|Ph\.D)\.$"
)
_MAY_END = re.compile(r"(?:etc|Inc|Ltd|Co|Corp|Jr|Sr|a\.m|p\.m)\.$")
"""abbreviations that often end a sentence too: before a capital they do"""

_SPACE = re.compile(r"\s+")
_LOOKAHEAD = 3
"""characters behind a mark that decide whether it is an end: white space, at most two, and the next word"""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of text to be spoken in one go."""

    text: str
    paragraph: bool = False
    """it ends a paragraph (a longer pause follows)"""
    ends: bool = True
    """False for a clause after which the sentence goes on"""


async def once(text: str) -> AsyncIterator[str]:
    """A whole text as a stream of one piece."""
    yield text


async def sentences(text: AsyncIterator[str], longest: int = 300) -> AsyncIterator[Sentence]:
    """Split a stream of text. Pieces of the stream may break anywhere, inside words too.

    The sentences do not depend on where the stream is broken. One longer than `longest` characters is
    cut at a clause, or else at a space. Memory is bounded by the longest piece of the stream plus
    `longest`; the work grows with the length of the text.
    """
    buffer = ""
    async for piece in text:
        kept = buffer.rstrip()  # white space at the end may go on in the next piece
        buffer = kept + _SPACE.sub(_collapsed, buffer[len(kept) :] + piece)
        start = _skip(buffer, 0)
        while found := _next(buffer, start, longest, final=False):
            sentence, start = found
            yield sentence
        buffer = buffer[start:]
    buffer = buffer.rstrip()
    start = _skip(buffer, 0)
    while found := _next(buffer, start, longest, final=True):
        sentence, start = found
        yield sentence


def ends_sentence(text: str) -> bool:
    """Whether the text closes with the mark of a sentence's end."""
    marks = text.rstrip().rstrip(_CLOSING)[-1:]
    return bool(marks and marks in ".!?…。！？")


def _collapsed(space: re.Match[str]) -> str:
    return "\n" * min(2, space.group().count("\n")) or " "


def _next(buffer: str, start: int, longest: int, *, final: bool) -> tuple[Sentence, int] | None:
    """The sentence that begins at `start`, and where the one after it begins; None while not certain."""
    end = _end(buffer, start, longest, final)
    if end is None:
        return None
    following = _skip(buffer, end)
    paragraph = following == len(buffer) or "\n\n" in buffer[end:following]
    return Sentence(buffer[start:end].strip().replace("\n", " "), paragraph), following


def _end(buffer: str, start: int, longest: int, final: bool) -> int | None:
    """Where the sentence that begins at `start` ends, or is cut; None while that is not certain."""
    for match in _MARKS.finditer(buffer, start, start + longest + _LOOKAHEAD):
        end = match.start() if match.group().isspace() else match.end()
        if end - start > longest:
            break
        following = _skip(buffer, match.end())
        if following >= len(buffer):
            return len(buffer) if final else None  # what follows decides
        if _ends(buffer[start:end], match.group(), buffer[match.end()], buffer[following]):
            return end
    if len(buffer) - start <= longest:
        return len(buffer) if final and start < len(buffer) else None
    if not final and len(buffer) - start <= longest + _LOOKAHEAD:
        return None
    return start + _cut(buffer[start : start + longest].replace("\n", " "), longest)


def _skip(buffer: str, at: int) -> int:
    """The first place from `at` on that is not white space."""
    while at < len(buffer) and buffer[at].isspace():
        at += 1
    return at


def _ends(sentence: str, marks: str, after: str, following: str) -> bool:
    """Whether `marks` end the sentence before them.

    `after` is the character behind the marks, `following` the next that is not white space.
    """
    if marks.isspace() or not _CJK_MARKS.isdisjoint(marks):
        return True
    bare = sentence.rstrip(_CLOSING)[-24:]  # more than any abbreviation
    if not after.isspace():  # "真的?好吧", but not 3.14, a URL or "Yahoo!Inc"
        before = bare.rstrip(".!?…")[-1:]
        return "." not in marks and bool(IDEOGRAPH.match(after) or IDEOGRAPH.match(before))
    if following.islower():
        return False  # "Really?" she said.
    return not _ABBREVIATION.search(bare) or bool(_MAY_END.search(bare))


def _cut(text: str, longest: int) -> int:
    """Where to cut `text`: after the last clause in it, else at a space, else at `longest`."""
    clauses = [match.end() for match in CLAUSE.finditer(text)]
    if clauses and clauses[-1] > longest // 4:
        return clauses[-1]
    space = text.rfind(" ", 1)
    return space if space > 0 else longest
