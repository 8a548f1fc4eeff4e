"""Which written words a group of phonemes speaks, where a front end joins words or takes them apart."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

_STRESS = str.maketrans("", "", "ˈˌː̃")
_SHARED = 0.5
"""how much of the shorter of a word and a group must agree for the one to speak the other"""


def matched(alone: Sequence[str], groups: Sequence[str]) -> list[tuple[range, range]]:
    """Words and groups of phonemes that belong together, in order, all of both: (words, groups).

    alone[i]: the phonemes of word i spoken by itself; groups: those of the sentence between its spaces.
    Mostly one word has one group; "of the" may share one, "example.com" have three, and what cannot be
    told apart stays together. Nothing where there are no words, or no groups.
    """
    if not alone or not groups:
        return []
    found: list[tuple[int, int]] = []  # where each pair ends
    for word, group in _links(alone, groups):
        words, spoken = found[-1] if found else (0, 0)
        if word < words or group < spoken:
            found[-1] = max(words, word + 1), max(spoken, group + 1)
            continue
        if word - words == group - spoken:
            found += ((words + i, spoken + i) for i in range(1, word - words + 1))
        elif found and (word == words or group == spoken):
            found[-1] = word, group
        elif word > words and group > spoken:
            found.append((word, group))
        found.append((word + 1, group + 1))
    words, spoken = found[-1] if found else (0, 0)
    if len(alone) - words == len(groups) - spoken:
        found += ((words + i, spoken + i) for i in range(1, len(alone) - words + 1))
    elif words < len(alone) and spoken < len(groups):
        found.append((len(alone), len(groups)))
    else:
        found[-1:] = [(len(alone), len(groups))]
    starts = [(0, 0), *found]
    return [(range(a, c), range(b, d)) for (a, b), (c, d) in zip(starts, found, strict=False)]


def _links(alone: Sequence[str], groups: Sequence[str]) -> list[tuple[int, int]]:
    """(word, group) whose phonemes agree, in order."""
    word_of = [(i, symbol) for i, word in enumerate(alone) for symbol in word.translate(_STRESS)]
    group_of = [(i, symbol) for i, group in enumerate(groups) for symbol in group.translate(_STRESS)]
    matcher = difflib.SequenceMatcher(None, [s for _, s in word_of], [s for _, s in group_of], autojunk=False)
    agreeing = Counter(
        (word_of[match.a + i][0], group_of[match.b + i][0])
        for match in matcher.get_matching_blocks()
        for i in range(match.size)
    )
    return sorted(
        (word, group)
        for (word, group), count in agreeing.items()
        if count >= _SHARED * min(len(alone[word].translate(_STRESS)), len(groups[group].translate(_STRESS)))
    )
