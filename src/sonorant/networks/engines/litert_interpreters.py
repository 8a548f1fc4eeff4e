"""Interpreters of one .tflite file: made as calls need them, and kept within bounds.

An interpreter runs one call at a time. Making one is dear: LiteRT packs the weights anew for each graph of
the file, and holds Python's lock meanwhile, so that everything else in the process stands still. What a
length takes stays with the interpreter that ran it until that ends. (The package's newer CompiledModel packs
weights once for all graphs, but holds that lock while it computes.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

LONG = 1
"""interpreters for calls far longer than usual that are kept: more of them at once are rare, and large"""


class Interpreters:
    """Of one engine, which closes them. Safe from any thread.

    Calls that are far longer than usual have one of their own: what they take is not held by those that
    others need all the time, which would have to end to give it back.
    """

    def __init__(self, make: Callable[[], Any], most: int) -> None:
        """`make` gives a new one. `most`: that are kept for usual calls, as many as can compute at once."""
        self._make = make
        self._free: dict[bool, list[Any]] = {False: [], True: []}
        """for long calls or not; the last one is the next to be lent"""
        self._most = {False: most, True: LONG}
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, *, long: bool = False) -> Iterator[Any]:
        """One for a call. Raises what making one raises."""
        free = self._free[long]
        with self._lock:
            found = free.pop() if free else None
        one = self._make() if found is None else found
        try:
            yield one
        finally:
            with self._lock:
                if len(free) < self._most[long]:
                    free.append(one)

    def trim(self) -> None:
        """Free what the last calls needed and the next may not: all but one for a usual call."""
        with self._lock:
            del self._free[False][1:]
            self._free[True].clear()

    def close(self) -> None:
        """Free them; one that is lent is freed when it comes back."""
        with self._lock:
            self._most = dict.fromkeys(self._most, 0)
            for free in self._free.values():
                free.clear()
