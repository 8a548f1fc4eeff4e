"""Subtitle cues for spoken text, from the measured times of its words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from sonorant.tasks import Segment, Word
from sonorant.text.joint import joined

LINE = 42
"""columns of a line, the usual measure for Latin script; a Chinese or Japanese character takes two"""
LINES = 2
LONGEST_SECONDS, SHORTEST_SECONDS = 7.0, 1.0
"""of a cue; a shorter one stays on the screen for as long as the next lets it"""
PAUSE_SECONDS = 0.2
"""what follows the end of a sentence, and no abbreviation's dot"""

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]»」』）]*$")
_CLAUSE_END = re.compile(r"[,;:，；：、—–][\"'”’)\]»」』）]*$")


def cues(words: Iterable[Word]) -> list[Segment]:
    """Words in the order of their times → cues of at most two lines, sentence by sentence.

    A line is as long as LINE, or one word; words are never split. A sentence that needs more cues is cut
    behind a clause where one ends in the latter two thirds of a cue. Cues do not overlap.
    """
    found: list[Segment] = []
    for sentence in _sentences(words):
        for part in _parts(sentence):
            start = max(part[0].start, found[-1].end if found else 0.0)
            found.append(Segment(start, max(part[-1].end, start), _lines(part)))
    starts = [cue.start for cue in found[1:]]
    return [
        Segment(cue.start, max(cue.end, min(cue.start + SHORTEST_SECONDS, next_start)), cue.text)
        for cue, next_start in zip(found, [*starts, float("inf")], strict=False)
    ]


def _sentences(words: Iterable[Word]) -> list[list[Word]]:
    found: list[list[Word]] = []
    for word in words:
        last = found[-1][-1] if found else None
        if last and not (_SENTENCE_END.search(last.text) and word.start - last.end >= PAUSE_SECONDS):
            found[-1].append(word)
        else:
            found.append([word])
    return found


def _parts(sentence: Sequence[Word]) -> list[Sequence[Word]]:
    """A sentence in as many cues as it needs."""
    found = []
    while sentence:
        fits = 1
        while fits < len(sentence) and _fits(sentence[: fits + 1]):
            fits += 1
        clauses = [i for i in range(fits, fits // 3, -1) if _CLAUSE_END.search(sentence[i - 1].text)]
        end = clauses[0] if clauses and fits < len(sentence) else fits
        found.append(sentence[:end])
        sentence = sentence[end:]
    return found


def _fits(words: Sequence[Word]) -> bool:
    return words[-1].end - words[0].start <= LONGEST_SECONDS and len(_wrapped(words)) <= LINES


def _lines(words: Sequence[Word]) -> str:
    """On one line, or on two of about the same length."""
    lines = _wrapped(words)
    if len(lines) == LINES:
        halves = [(_text(words[:i]), _text(words[i:])) for i in range(1, len(words))]
        halves = [half for half in halves if max(map(_width, half)) <= max(LINE, *map(_width, lines))]
        lines = list(min(halves, key=lambda half: max(map(_width, half))))
    return "\n".join(lines)


def _wrapped(words: Sequence[Word]) -> list[str]:
    """Lines as full as they can be."""
    lines: list[list[Word]] = [[]]
    for word in words:
        if lines[-1] and _width(_text([*lines[-1], word])) > LINE:
            lines.append([])
        lines[-1].append(word)
    return [_text(line) for line in lines]


def _text(words: Iterable[Word]) -> str:
    return joined(word.text for word in words)


def _width(text: str) -> int:
    """columns"""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
