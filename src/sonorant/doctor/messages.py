"""What error messages mean: cause and command, by the patterns of errors.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sonorant.doctor.said import Text, filled, table

_LINE = 2_000
"""characters of a line that are looked at: what says why stands at its start, or at its end"""
_LINES = 10_000
"""of a log: the first half of them from its start, the others from its end"""
_MOST = 3
"""causes that are told"""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    name: str
    cause: Text
    command: str
    line: str
    """of the text, where it was found"""
    number: int
    """of that line, from 1"""
    general: bool
    """it says that something failed, not why"""
    source: str
    """what was seen to print it"""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    match: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]
    general: bool
    cause: Text
    command: str
    source: str

    def find(self, line: str) -> re.Match[str] | None:
        if any(pattern.search(line) for pattern in self.unless):
            return None
        return next((found for pattern in self.match if (found := pattern.search(line))), None)


def diagnose(text: str) -> list[Diagnosis]:
    """The causes that a message or a log names, the most telling first; none where nothing is known.

    What says why comes before what only says that something failed; among them, what was said first, since
    the rest follows from it. A message that a terminal has wrapped is read as one line, too.
    """
    lines = _lines(text)
    found = list(_found(lines))
    if all(one.general for one in found):
        found += _found([" ".join(" ".join(lines).split())[: 2 * _LINE]])
    causes: dict[str, Diagnosis] = {}
    for diagnosis in found:
        causes.setdefault(diagnosis.name, diagnosis)
    return sorted(causes.values(), key=lambda one: (one.general, one.number))[:_MOST]


def _lines(text: str) -> list[str]:
    """Of a long log the first and the last ones, without escapes that colour a terminal."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    if len(lines) > _LINES:
        lines = lines[: _LINES // 2] + lines[-_LINES // 2 :]
    return [line if len(line) <= 2 * _LINE else f"{line[:_LINE]} {line[-_LINE:]}" for line in lines]


def _found(lines: list[str]) -> Iterator[Diagnosis]:
    for number, line in enumerate(lines, 1):
        telling = [(entry, found) for entry in _entries() if (found := entry.find(line))]
        specific = [(entry, found) for entry, found in telling if not entry.general]
        for entry, found in specific or telling[:1]:
            holes = {name: value for name, value in found.groupdict().items() if value}
            if "module" in holes:
                holes["package"] = table_of_packages().get(holes["module"], holes["module"].replace("_", "-"))
            yield Diagnosis(
                entry.name,
                entry.cause.filled(holes),
                filled(entry.command, holes),
                line.strip(),
                number,
                entry.general,
                entry.source,
            )


@cache
def _table() -> dict[str, Any]:
    return table("errors")


def table_of_packages() -> dict[str, str]:
    """Module → the package that brings it, where their names differ."""
    packages: dict[str, str] = _table()["packages"]
    return packages


@cache
def _entries() -> tuple[_Entry, ...]:
    return tuple(
        _Entry(
            entry["name"],
            _patterns(entry["match"]),
            _patterns(entry.get("unless", ())),
            entry.get("general", False),
            Text.of(entry["cause"]),
            entry["command"],
            entry["source"],
        )
        for entry in _table()["error"]
    )


def _patterns(expressions: list[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(expression) for expression in expressions)
