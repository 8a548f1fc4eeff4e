"""Interpreters of one .tflite file: made as calls need them, and kept within bounds.

An interpreter runs one call at a time. Making one is dear: LiteRT packs the weights anew for each graph of
the file, and holds Python's lock meanwhile, so that everything else in the process stands still. What a
length takes stays with the interpreter that ran it until that ends. (The package's newer CompiledModel packs
weights once for all graphs, but holds that lock while it computes.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sonorant.networks.engines.pool import Pool

LONG = 1
"""interpreters for calls far longer than usual that are kept: more of them at once are rare, and large"""


class Interpreters:
    """Of one engine, which closes them. Safe from any thread.

    Calls that are far longer than usual have one of their own: what they take is not held by those that
    others need all the time, which would have to end to give it back.
    """

    def __init__(self, make: Callable[[], Any], most: int) -> None:
        """`make` gives a new one. `most`: that are kept for usual calls, as many as can compute at once."""
        self._usual, self._long = Pool(make, most), Pool(make, LONG)

    @contextmanager
    def lent(self, *, long: bool = False) -> Iterator[Any]:
        """One for a call. Raises what making one raises."""
        pool = self._long if long else self._usual
        one = pool.take()
        try:
            yield one
        finally:
            pool.give(one)

    def trim(self) -> None:
        """Free what the last calls needed and the next may not: all but one for a usual call."""
        self._usual.release(keep=1)
        self._long.release()

    def close(self) -> None:
        """Free them; one that is lent is freed when it comes back."""
        self._usual.close()
        self._long.close()
