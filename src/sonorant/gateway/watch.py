"""Notices that files have changed and are whole again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

POLL_SECONDS = 2.0
"""between two looks; a change counts once two looks in a row have seen the same"""
MOST = 4096
"""files that are looked at"""

Marks = tuple[tuple[str, int, int, int], ...]
"""path, size, time of change in ns, inode"""


async def watch(files: Callable[[], Iterable[Path]], changed: Callable[[], None]) -> None:
    """Until cancelled: call `changed` whenever `files()` are others than before, and have settled."""
    known = seen = None
    while True:
        try:
            now = await asyncio.to_thread(_marks, files)
        except OSError:  # a folder that goes while it is read: the next look tells
            now = None
        if known is None:
            known = now
        elif now is not None and now == seen and now != known:
            known = now
            changed()
        seen = now
        await asyncio.sleep(POLL_SECONDS)


def _marks(files: Callable[[], Iterable[Path]]) -> Marks:
    marks = []
    for _, path in zip(range(MOST), sorted(files()), strict=False):
        try:
            status = path.stat()
        except OSError:
            continue  # it is gone: that is a change, too
        marks.append((str(path), status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(marks)
