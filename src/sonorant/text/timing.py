"""When each written word is spoken, from the durations that a network predicts for its phonemes."""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile

from sonorant.tasks import Word
from sonorant.text.lexicon import MARK


def word_times(
    words: Sequence[str], sizes: Sequence[int], durations: Sequence[float], step: float
) -> tuple[Word, ...]:
    """Times of those `words` that are not "".

    words[i] was spoken by sizes[i] tokens; durations: of each token in steps of `step` seconds, with
    one token before the first word. Seconds count from the beginning of the network's output.
    """
    found = []
    token, at = 1, float(durations[0])
    for word, size in zip(words, sizes, strict=True):
        end = at + float(sum(durations[token : token + size]))
        if word and size:
            found.append(Word(word, at * step, end * step))
        token, at = token + size, end
    return tuple(found)


def as_written(text: str, spoken: Sequence[Word]) -> tuple[Word, ...]:
    """The same times for the words as they stand in `text`, where normalisation wrote them out.

    "$5" spoken as "five dollars" becomes one entry with the time of both. Words that cannot be told
    apart share one entry: a time is given for what was measured, and never divided. Signs that nobody
    reads out (dashes, emoji) stay with the word before them.
    """
    written = _split(text.replace(MARK, ""))
    matcher = difflib.SequenceMatcher(
        None, [_bare(w) for w in written], [_bare(w.text) for w in spoken], autojunk=False
    )
    found: list[Word] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            found += (Word(w, s.start, s.end) for w, s in zip(written[a:b], spoken[c:d], strict=True))
        elif a < b and c < d:
            found.append(Word(_joined(written[a:b]), spoken[c].start, spoken[d - 1].end))
        elif a == b and c < d and found:  # spoken, but not written by itself: it belongs to the word before
            found[-1] = Word(found[-1].text, found[-1].start, spoken[d - 1].end)
        elif c == d and found:
            signs = list(takewhile(lambda word: not _bare(word), written[a:b]))
            found[-1] = Word(_joined([found[-1].text, *signs]), found[-1].start, found[-1].end)
    return tuple(found)


def shifted(words: Iterable[Word], seconds: float, end: float = math.inf) -> tuple[Word, ...]:
    """The words so much later; none begins before 0, and none lasts beyond `end`, where the sound ends."""

    def at(time: float) -> float:
        return min(max(0.0, time + seconds), end)

    return tuple(Word(w.text, at(w.start), at(w.end)) for w in words)


def _split(text: str) -> list[str]:
    """Words with their punctuation; Chinese and Japanese characters each for themselves."""
    words: list[str] = []
    glue = False
    for character in text:
        if character.isspace():
            glue = False
        elif is_ideograph(character):
            words.append(character)
            glue = True  # punctuation that follows belongs to it
        elif glue and words and (not is_ideograph(words[-1][0]) or not character.isalnum()):
            words[-1] += character
        else:
            words.append(character)
            glue = True
    return words


def is_ideograph(character: str) -> bool:
    """Han or kana: written without spaces."""
    return unicodedata.name(character, "").startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA", "CJK COMPAT"))


def _bare(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())


def _joined(words: Sequence[str]) -> str:
    text = words[0]
    for before, after in pairwise(words):
        text += after if is_ideograph(before[-1]) or is_ideograph(after[0]) else f" {after}"
    return text
