"""Which model is meant where none is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sonorant.text.languages import knows_all

T = TypeVar("T")


def fitting(
    candidates: Sequence[T], known: Callable[[T], Sequence[str]], wanted: Iterable[str], *, listening: bool
) -> T:
    """The one of `candidates` (at least one) that fits the languages `wanted`, by the tags each knows.

    It is the first that knows every one of them ("" = unknown); if none does, the first, which says so
    itself. Where nobody said which language, it is the first to speak, but to listen the one that knows
    the most: a recording in a language that a model was not made for comes out as nonsense.
    """
    return all_fitting(candidates, known, wanted, listening=listening)[0]


def all_fitting(
    candidates: Sequence[T], known: Callable[[T], Sequence[str]], wanted: Iterable[str], *, listening: bool
) -> list[T]:
    """All that fit as well as that one, which comes first."""
    if languages := set(wanted) - {""}:
        return [c for c in candidates if knows_all(languages, known(c))] or [candidates[0]]
    if not listening:
        home = set(known(candidates[0])[:1])
        return [candidates[0], *(c for c in candidates[1:] if knows_all(home, known(c)))]
    most = max(_breadth(known(c)) for c in candidates)
    return [c for c in candidates if _breadth(known(c)) == most]


def _breadth(known: Sequence[str]) -> float:
    return math.inf if "*" in known else len(known)
