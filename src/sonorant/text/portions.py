"""What is spoken in one go: sentences, the first of them in clauses, to begin early and then go on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from sonorant.text.segment import CLAUSE, IDEOGRAPH, Sentence, sentences

SHORTEST_DIVIDED = 90
"""letters, an ideograph counting as three; shorter sentences begin soon enough as they are, and their
halves are less well understood: of 72 Chinese ones 3.8 instead of 3.0% of the syllables were heard wrongly
(benchmarks/roundtrip.py)"""
SHORTEST_CLAUSE = 10
"""letters alike; shorter ones sound clipped when spoken by themselves"""
LARGEST_SHARE = 0.6
"""how much of what is left a clause may be that comes late itself; a cut behind more wins too little"""


async def portions(text: AsyncIterator[str], longest: int, pace: float) -> AsyncGenerator[Sentence]:
    """The sentences of a stream of text, cut so that the first clauses are heard while more is computed.

    Portions grow: each takes no longer to compute than what was spoken before it lasts, as far as the
    clauses allow; soon there is enough in hand for whole sentences. longest: characters of a sentence.
    pace: seconds of speech that a second of computing gives. Where the cuts are depends on the text alone.
    """
    spare = 0.0
    async for sentence in sentences(text, longest):
        for portion in _divided(sentence, spare, pace):
            yield portion
            spare = _after(portion.text, spare, pace)


def _divided(sentence: Sentence, spare: float, pace: float) -> Iterator[Sentence]:
    """spare: letters that are still to be heard when the computing begins."""
    rest = sentence.text
    divided = letters(rest) >= SHORTEST_DIVIDED
    while divided and letters(rest) > pace * spare and (end := _first(rest, pace * spare)):
        portion, rest = rest[:end].strip(), rest[end:].strip()
        yield Sentence(portion, ends=False)
        spare = _after(portion, spare, pace)
    yield Sentence(rest, sentence.paragraph, sentence.ends)


def _first(text: str, room: float) -> int:
    """Where the last clause ends that fits into `room` letters, or else the first; 0 where no cut pays."""
    whole = letters(text)
    sizes = {match.end(): letters(text[: match.end()]) for match in CLAUSE.finditer(text)}
    ends = [end for end, size in sizes.items() if SHORTEST_CLAUSE <= size <= whole - SHORTEST_CLAUSE]
    first = next((end for end in ends if sizes[end] <= LARGEST_SHARE * whole), 0)
    return max((end for end in ends if sizes[end] <= room), default=first)


def _after(portion: str, spare: float, pace: float) -> float:
    """What is still to be heard when a portion has been computed."""
    return max(0.0, spare - letters(portion) / pace) + letters(portion)


def letters(text: str) -> int:
    """How long a text takes to say, in letters: an ideograph, a syllable, takes as long as three."""
    return len(text) + 2 * len(IDEOGRAPH.findall(text))
