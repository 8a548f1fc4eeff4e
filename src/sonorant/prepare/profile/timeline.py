"""What ran on the device, and when: each piece of work as its Meter saw it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

WORK = "work"
"""the stage of what Host.call runs"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of work on a slot; seconds of time.perf_counter."""

    stage: str
    began: float
    ended: float
    thread: int
    """as the system numbers it"""
    resident: int
    """bytes of the process when it ended"""


@dataclass(slots=True)
class Timeline:
    """Pieces, as they end. Safe from any thread."""

    ranges: Callable[[str], AbstractContextManager[None]] | None = None
    """NVTX ranges around them"""
    pieces: list[Piece] = field(default_factory=list)
    shift: float = field(default_factory=lambda: time.perf_counter() - time.time())
    """from the time of day, which engines tell, to time.perf_counter"""

    @contextmanager
    def around(self, stage: str, work: Callable[[], object]) -> Iterator[None]:
        """`Figures.around`."""
        name = f"{WORK}: {_named(work)}" if stage == WORK else stage
        began = time.perf_counter()
        try:
            if self.ranges is None:
                yield
            else:
                with self.ranges(name):
                    yield
        finally:
            ended = time.perf_counter()
            self.pieces.append(Piece(name, began, ended, threading.get_native_id(), resident()))


def resident() -> int:
    """Bytes of this process that are in memory. 0 where the system does not tell in a moment."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError, ValueError):
        return 0


def _named(work: Callable[[], object]) -> str:
    while isinstance(work, functools.partial):
        work = work.func
    return str(getattr(work, "__qualname__", type(work).__name__))


def nvtx_ranges() -> Callable[[str], AbstractContextManager[None]]:
    """Ranges that Nsight Systems shows, by nvtx or by torch. Raises MissingExtraError."""
    from sonorant.errors import MissingExtraError

    try:
        import nvtx

        return lambda name: cast(AbstractContextManager[None], nvtx.annotate(name, domain="sonorant"))
    except ImportError:
        pass
    try:
        from torch.cuda import nvtx as ranges

        ranges.range_push("sonorant")  # a torch that is built for the CPU refuses
        ranges.range_pop()
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(
            "NVTX ranges need the package nvtx, or a torch that is built for CUDA",
            why=str(error),
            remedy="Install it: `pip install nvtx`, or leave --nvtx out",
        ) from error
    return cast(Callable[[str], AbstractContextManager[None]], ranges.range)
