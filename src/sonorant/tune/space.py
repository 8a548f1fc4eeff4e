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
        return ", ".join(f"{_short(path)} {value}" for path, value in self.settings) or IN_FORCE


IN_FORCE = "as it is"


@dataclass(frozen=True, slots=True)
class Option:
    """One position of a knob, which may set several settings at once."""

    settings: tuple[tuple[Path, Value], ...]

    def __str__(self) -> str:
        return " × ".join(str(value) for _, value in self.settings)


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
        """The candidate with an option. What is as in force is left out, so that equal ones are the same."""
        chosen = {**dict(candidate.settings), **dict(option.settings)}
        kept = {path: value for path, value in chosen.items() if self.base[path] != value}
        return Candidate(tuple(sorted(kept.items())))


def knob(name: str, paths: Iterable[Path], values: Iterable[Any]) -> Knob:
    """Of one setting, or of several that are set together; each value is then a tuple."""
    several = tuple(paths)
    options = []
    for value in values:
        each = value if isinstance(value, tuple) else (value,) * len(several)
        options.append(Option(tuple(zip(several, each, strict=True))))
    return Knob(name, tuple(options))


def _short(path: Path) -> str:
    names = {"intra_op_num_threads": "threads", "max_frames": "batch of frames", "window_ms": "window, ms"}
    last = names.get(path[-1], path[-1])
    return f"{path[2]}: {last}" if path[0] == "networks" else last
