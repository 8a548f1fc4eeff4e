"""Sentences that voices are measured with: fixed before any voice was chosen, one on a line."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def lines(name: str) -> list[str]:
    """english, chinese, mixed or other_languages ("es: text")."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
