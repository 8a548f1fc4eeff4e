"""The files of a folder, within bounds."""

from __future__ import annotations

import os
from pathlib import Path

MOST = 2000
"""files"""
_DEEPEST = 5


def files_of(folder: Path) -> list[Path]:
    """Those in it, at most `MOST`. Hidden folders and links to folders are not looked into."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        deep = len(Path(root).relative_to(folder).parts)
        folders[:] = sorted(n for n in folders if not n.startswith(".") and deep < _DEEPEST)
        found += [Path(root) / name for name in sorted(names)]
        if len(found) >= MOST:
            break
    return found[:MOST]
