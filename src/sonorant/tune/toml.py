"""Tuned settings in a settings file: one that is there keeps all that it has, comments too."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sonorant.errors import SettingsError
from sonorant.observe.machine import cores
from sonorant.settings import merge
from sonorant.tune.rows import Row
from sonorant.tune.slo import amount
from sonorant.tune.space import Candidate, Value

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(candidate: Candidate, before: str = "", remarks: Sequence[str] = ()) -> str:
    """`before`, the text of a settings file, with a candidate's settings in it and everything else as it is.

    Raises SettingsError where that cannot be done by lines, for tables that are written inside others.
    """
    wanted = tomllib.loads(before)
    merge(wanted, candidate.tree)
    lines = before.splitlines() if before else [f"# {remark}" for remark in remarks]
    for path, value in candidate.settings:
        _set(lines, path[:-1], path[-1], value)
    text = "\n".join(lines).strip("\n") + "\n"
    try:
        same = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise SettingsError(
            "The tuned settings do not fit into that file line by line",
            why="Some of its tables are written inside others",
            remedy=f"Write them in yourself: {said(candidate)}",
        )
    return text


def said(candidate: Candidate) -> str:
    """The settings alone, a line each, as `--write` leaves them in an empty file."""
    return "; ".join(f"{_dotted(path)} = {_value(value)}" for path, value in candidate.settings)


def remarks(row: Row, model: str, clients: int) -> list[str]:
    """What a new file says of itself."""
    told = ", ".join(
        f"{name} {amount(name, value)}"
        for name in ("throughput", "ttfa_p95", "latency_p95", "memory")
        if (value := row.value(name)) is not None
    )
    return [
        f"Made by `sonorant tune {model}`, {datetime.now(UTC):%Y-%m-%d}, on {cores()} cores,",
        f"with {clients} clients at once: {told}",
    ]


def write(file: Path, candidate: Candidate, remarks: Sequence[str] = ()) -> None:
    """Put a candidate's settings into a settings file, whole or not at all.

    Raises SettingsError where it cannot be read or written.
    """
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        text = written(candidate, before, remarks)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
        with tempfile.NamedTemporaryFile(
            "w", dir=file.parent, prefix=f".{file.name}-", encoding="utf-8", delete=False
        ) as made:
            made.write(text)
        os.chmod(made.name, mode)
        os.replace(made.name, file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings file {file} cannot be written",
            why=str(error),
            remedy="Correct it, or name another with --write",
        ) from error


def _set(lines: list[str], table: Sequence[str], key: str, value: Value) -> None:
    line = f"{_key(key)} = {_value(value)}"
    header = next((i for i, one in enumerate(lines) if _header(one) == list(table)), None)
    if header is None:
        lines += ["", f"[{_dotted(table)}]", line]
        return
    end = next((i for i in range(header + 1, len(lines)) if _header(lines[i]) is not None), len(lines))
    for i in range(header + 1, end):
        if _assigned(lines[i]) == key:
            comment = re.search(r"\s+#[^\"']*$", lines[i])
            lines[i] = line + (comment[0] if comment else "")
            return
    while end > header + 1 and not lines[end - 1].strip():
        end -= 1
    lines.insert(end, line)


def _header(line: str) -> list[str] | None:
    """The path of a table's header; None where the line is none. [[arrays]] end a table, too."""
    stripped = line.strip()
    if not stripped.startswith("["):
        return None
    try:
        tree: Any = tomllib.loads(stripped)
    except tomllib.TOMLDecodeError:
        return None
    path = []
    while isinstance(tree, dict) and tree:
        ((name, tree),) = tree.items()
        path.append(name)
    return path if isinstance(tree, dict) else []


def _assigned(line: str) -> str | None:
    """The key that a line sets by itself."""
    try:
        found = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    return next(iter(found), None)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _dotted(path: Sequence[str]) -> str:
    return ".".join(map(_key, path))


def _value(value: Value) -> str:
    """A TOML value. JSON writes these kinds as TOML does."""
    return json.dumps(value, ensure_ascii=False)
