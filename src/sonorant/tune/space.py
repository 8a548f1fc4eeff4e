"""What can be chosen: knobs of the settings, and candidates that turn some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
"""of a setting: ("lanes", "streams"); names of models may have dots in them"""
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that differ from those in force."""

    settings: tuple[tuple[Path, Value], ...] = ()
    """in the order of their paths; () = what is in force"""

    @property
    def tree(self) -> dict[str, Any]:
        """As a settings file has them."""
        tree: dict[str, Any] = {}
        for path, value in self.settings:
            leaf = tree
            for name in path[:-1]:
                leaf = leaf.setdefault(name, {})
            leaf[path[-1]] = value
        return tree

    def __str__(self) -> str:
        return said(self.settings) or IN_FORCE


IN_FORCE = "as it is"


@dataclass(frozen=True, slots=True)
class Option:
    """One position of a knob, which may set several settings at once."""

    settings: tuple[tuple[Path, Value], ...]

    def __str__(self) -> str:
        return said(self.settings)


@dataclass(frozen=True, slots=True)
class Knob:
    """A choice. `options` in the order in which they are tried; the one in force may be among them."""

    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """All knobs, those first from which most is to be gained."""

    knobs: tuple[Knob, ...]
    base: Mapping[Path, Value]
    """what is in force of all settings that knobs set"""

    def turned(self, candidate: Candidate, option: Option) -> Candidate:
        """The candidate with an option. What is as in force is left out, so that equal ones are the same; so
        are threads where the engine takes none."""
        chosen = {**self.base, **dict(candidate.settings), **dict(option.settings)}
        kept = [
            (path, value)
            for path, value in chosen.items()
            if self.base[path] != value and not _takes_none(path, chosen)
        ]
        return Candidate(tuple(sorted(kept)))


def _takes_none(path: Path, chosen: Mapping[Path, Value]) -> bool:
    return path[-1] == "threads" and chosen.get((*path[:-1], "engine")) in ("torch", "tensorrt")


_WORDS = {
    "intra_op_num_threads": "threads",
    "max_frames": "batch of frames",
    "window_ms": "window ms",
}


def said(settings: Iterable[tuple[Path, Value]]) -> str:
    """Settings in few words: "heart +4: threads 1, streams 2"; what is left to the machine is "auto"."""
    of: dict[tuple[str, Value], list[str]] = {}
    for path, value in settings:
        of.setdefault((_WORDS.get(path[-1], path[-1]), value), []).append(
            path[2] if path[0] == "networks" else ""
        )
    return ", ".join(_one(word, value, names) for (word, value), names in of.items())


def _one(word: str, value: Value, names: list[str]) -> str:
    by_itself = value == "" or (value == 0 and word in ("threads", "streams"))
    what = f"{word} {'auto' if by_itself else f'{value:g}' if isinstance(value, float) else value}"
    if not names[0]:
        return what
    return f"{names[0]}: {what}" if len(names) == 1 else f"{names[0]} +{len(names) - 1}: {what}"
