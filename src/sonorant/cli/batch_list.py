"""The lists that batches are made from: text, or JSON where a file's name ends in .jsonl."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sonorant.cli.batch import Wrong
from sonorant.cli.manifest import Item, below
from sonorant.errors import RequestError, SonorantError

JSON_LINES = (".jsonl", ".ndjson")
NAME_BYTES = 200

Kinds = Mapping[str, tuple[type, ...]]
"""what a field may be, by its name"""

_NAMES = {"custom_id": "id", "input": "text", "response_format": "format"}
"""OpenAI's names of fields"""
_IGNORED = ("method", "url")
"""of a line of POST /v1/batches, whose `body` has the rest"""


def read(
    file: Path, folder: Path, plain: str, known: Kinds, itemize: Callable[[int, dict[str, Any]], Item]
) -> tuple[list[Item], list[Wrong]]:
    """What each line asks for, and what is wrong with the others. Raises RequestError.

    `plain`: the field that a line of text is. `known`: the fields of a line of JSON, beside `id` and `file`.
    """
    items: dict[str, Item] = {}
    wrong: list[Wrong] = []
    for number, line in _lines(file):
        try:
            fields = _fields(line, known) if file.suffix.lower() in JSON_LINES else {plain: line.strip()}
            item = itemize(number, fields)
            below(folder, item.target)
            if item.target in items:
                raise RequestError(
                    f"Line {items[item.target].line} is written to {item.target}, too",
                    remedy="Give each line an id of its own",
                )
        except SonorantError as error:
            wrong.append(Wrong(number, error))
        else:
            items[item.target] = item
    if not items and not wrong:
        raise RequestError(f"{file} is empty", remedy="Write something a line", param="batch")
    return list(items.values()), wrong


def target(number: int, fields: dict[str, Any], ending: str) -> str:
    """The file that a line becomes: `file`, or its id, or its number. Takes both fields out."""
    id, path = fields.pop("id", None), fields.pop("file", None)
    if path is not None:
        return str(path)
    return f"{f'{number:06}' if id is None else _file_name(str(id))}.{ending}"


def significant(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is as if it were left out: both are the same request."""
    return {name: value for name, value in fields.items() if value not in (None, "", False, {})}


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Those that are not blank, numbered from 1."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"{file} cannot be read", why=str(error), remedy="Name a text file in UTF-8", param="batch"
        ) from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line


def _fields(line: str, known: Kinds) -> dict[str, Any]:
    """The fields of a JSON line, by our names."""
    known = {"id": (str, int), "file": (str,), **known}
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError("It is not JSON", why=str(error), remedy="Write an object a line") from error
    if not isinstance(given, dict):
        raise RequestError("It is not a JSON object", remedy="Write an object a line")
    body = given.pop("body", {})
    given |= body if isinstance(body, dict) else {}
    fields: dict[str, Any] = {}
    for name, value in given.items():
        ours = _NAMES.get(name, name)
        if ours in _IGNORED or value is None:
            continue
        if ours not in known:
            names = ", ".join([*known, *(n for n, ours in _NAMES.items() if ours in known)])
            raise RequestError(f"{name!r} is not known here", remedy=f"Known are {names}")
        # True is a number to Python
        if not isinstance(value, known[ours]) or (isinstance(value, bool) and bool not in known[ours]):
            raise RequestError(f"{name} cannot be {value!r}", remedy="Give it as JSON of its kind")
        fields[ours] = value
    return fields


def _file_name(id: str) -> str:
    name = re.sub(r"[^\w.\- ]", "_", id).strip(". ")
    if not name or len(name.encode()) > NAME_BYTES:
        raise RequestError(f"{id[:80]!r} cannot be the name of a file", remedy="Give another id, or a file")
    return name
