"""The files of a folder, within bounds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

MOST = 2000
"""files"""
_DEEPEST = 5


def files_of(folder: Path, closed: Callable[[OSError], object] = lambda error: None) -> list[Path]:
    """Those in it, at most `MOST`. Hidden folders and links to folders are not looked into.

    closed: told of each folder that cannot be listed.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=closed):
        deep = len(Path(root).relative_to(folder).parts)
        folders[:] = sorted(n for n in folders if not n.startswith(".") and deep < _DEEPEST)
        found += [Path(root) / name for name in sorted(names)]
        if len(found) >= MOST:
            break
    return found[:MOST]


def size_of(path: Path) -> int | None:
    """Bytes; None for what is no file, or may not be asked."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None
