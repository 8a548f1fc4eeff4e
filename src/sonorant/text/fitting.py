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
    if languages := set(wanted) - {""}:
        return next((c for c in candidates if knows_all(languages, known(c))), candidates[0])
    return max(candidates, key=lambda c: _breadth(known(c))) if listening else candidates[0]


def _breadth(known: Sequence[str]) -> float:
    return math.inf if "*" in known else len(known)
