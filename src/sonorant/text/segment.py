"""Sentences out of a stream of text, each as soon as it is certain where it ends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

# A Latin sentence ends at . ! ? … with closing quotes, when white space follows; a Chinese or
# Japanese one ends at its mark. Two line ends are a paragraph; one is only a wrapped line.
_END = re.compile(r"[.!?…]+[\"'”’)\]»]*(?=\s)|[。！？!?…]+[”’」』）]*(?=[^\s.!?…。！？”’」』）])|\n\s*\n")
_CLAUSE = re.compile(r"[,;:—–]+[\"'”’)\]]*\s|[，；：、]|\s[—–-]\s")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[A-Z]|Mr|Mrs|Ms|Mx|Dr|Prof|St|Mt|Ft|Jr|Sr|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Pres|Gov|Sen|Rep"
    r"|vs|etc|e\.g|i\.e|cf|al|approx|No|Nos|Fig|figs?|Vol|Ch|pp?|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug"
    r"|Sept?|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun|a\.m|p\.m|U\.S|U\.K|E\.U|Ph\.D)\.$"
)
_MAY_END = re.compile(r"(?:etc|Inc|Ltd|Co|Corp|Jr|Sr|a\.m|p\.m)\.$")
"""abbreviations that often end a sentence too: before a capital they do"""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of text to be spoken in one go."""

    text: str
    paragraph: bool = False
    """it ends a paragraph (a longer pause follows)"""


async def sentences(text: AsyncIterator[str], longest: int = 300) -> AsyncIterator[Sentence]:
    """Split a stream of text. Pieces of the stream may break anywhere, inside words too.

    A sentence longer than `longest` characters is cut at a clause, or else at a space. Memory is
    bounded by the longest piece of the stream plus `longest`.
    """
    buffer = ""
    async for piece in text:
        buffer += piece.replace("\r\n", "\n")
        ready, buffer = _split(buffer, longest, final=False)
        for sentence in ready:
            yield sentence
    ready, buffer = _split(buffer, longest, final=True)
    for sentence in ready:
        yield sentence


def _split(buffer: str, longest: int, *, final: bool) -> tuple[list[Sentence], str]:
    found: list[Sentence] = []
    start = 0
    for match in _END.finditer(buffer):
        following = buffer[match.end() :].lstrip()
        if not following and not final:
            break  # what follows decides whether this is an end
        if match.group().isspace() or _ends(buffer[start : match.end()], following):
            gap = buffer[match.end() : len(buffer) - len(following)]
            found += _pieces(buffer[start : match.end()], longest, (match.group() + gap).count("\n") > 1)
            start = match.end()
    rest = buffer[start:]
    if final:
        return found + _pieces(rest, longest, True), ""
    while len(rest) > 2 * longest:  # no end in sight: do not hold a whole book
        cut = _cut(rest, longest)
        found += _pieces(rest[:cut], longest, False)
        rest = rest[cut:]
    return found, rest


def _ends(sentence: str, following: str) -> bool:
    bare = sentence.rstrip("\"'”’)]»")
    if not following or bare[-1] not in ".!?…":
        return True
    if following[0].islower():
        return False  # "Really?" she said.
    return not _ABBREVIATION.search(bare) or bool(_MAY_END.search(bare))


def _pieces(text: str, longest: int, paragraph: bool) -> list[Sentence]:
    text = " ".join(text.split())
    pieces: list[Sentence] = []
    while len(text) > longest:
        cut = _cut(text, longest)
        pieces.append(Sentence(text[:cut].strip()))
        text = text[cut:].strip()
    if text:
        pieces.append(Sentence(text, paragraph))
    return pieces


def _cut(text: str, longest: int) -> int:
    """Where to cut `text`: after the last clause within `longest`, else at a space, else there."""
    clauses = [m.end() for m in _CLAUSE.finditer(text, 0, longest)]
    if clauses and clauses[-1] > longest // 4:
        return clauses[-1]
    space = text.rfind(" ", 1, longest)
    return space if space > 0 else longest
