"""The input of a batch: a JSON object a line, in OpenAI's shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sonorant.gateway.jobs.records import Fault, Line

CUSTOM_ID_CHARACTERS = 256
SHOWN_FAULTS = 100
"""of a file that is wrong throughout"""


class BadLine(Exception):
    """A line that is no request."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.message)


def lines(path: Path, endpoint: str, longest: int) -> Iterator[Line | BadLine]:
    """Every line that is not blank. `longest`: bytes of one."""
    with path.open("rb") as file:
        for number, raw in _raw(file, longest):
            try:
                yield _line(raw, number, endpoint, longest)
            except BadLine as bad:
                yield bad


def check(path: Path, endpoint: str, longest: int, most: int) -> tuple[int, tuple[Fault, ...]]:
    """How many requests a file holds, and why it cannot be used: the first faults, or none.

    `longest`: bytes of a line; `most`: requests.
    """
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    for line in lines(path, endpoint, longest):
        if isinstance(line, BadLine):
            faults.append(line.fault)
        elif line.custom_id in seen:
            text = f"The custom_id {line.custom_id!r} is that of line {seen[line.custom_id]}, too."
            faults.append(Fault("duplicate_custom_id", text, line.number, "custom_id"))
        else:
            seen[line.custom_id] = line.number
        if len(faults) >= SHOWN_FAULTS or len(seen) > most:
            break
    if len(seen) > most:
        text = (
            f"The file holds more than the {most:,} requests that a batch may have here. Make several of it."
        )
        faults.insert(0, Fault("too_many_requests", text))
    if not seen and not faults:
        faults.append(Fault("empty_file", "The file holds no requests. Write one a line, as JSON."))
    return len(seen), tuple(faults)


def _raw(file: BinaryIO, longest: int) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; of one that is too long, as much as shows it."""
    number = 0
    while raw := file.readline(longest + 1):
        number += 1
        whole = raw
        while len(raw) > longest and not raw.endswith(b"\n"):
            raw = file.readline(longest + 1)
        if whole.strip():
            yield number, whole


def _line(raw: bytes, number: int, endpoint: str, longest: int) -> Line:
    if len(raw) > longest:
        text = f"The line is longer than the {longest:,} bytes that this server takes."
        raise BadLine(Fault("line_too_long", text, number))
    try:
        fields: Any = json.loads(raw)
    except (ValueError, RecursionError):
        text = "The line is not JSON. Write an object with custom_id, method, url and body."
        raise BadLine(Fault("invalid_json_line", text, number)) from None
    if not isinstance(fields, dict):
        text = "The line is not a JSON object. Write one with custom_id, method, url and body."
        raise BadLine(Fault("invalid_json_line", text, number))
    custom_id, body = fields.get("custom_id"), fields.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= CUSTOM_ID_CHARACTERS:
        text = f"custom_id is no text of 1 to {CUSTOM_ID_CHARACTERS} characters."
        raise BadLine(Fault("invalid_custom_id", text, number, "custom_id"))
    if fields.get("method") != "POST":
        raise BadLine(Fault("invalid_method", "The method of every request is POST.", number, "method"))
    if fields.get("url") != endpoint:
        text = f"The url of every request is {endpoint}, the endpoint of the batch."
        raise BadLine(Fault("invalid_url", text, number, "url"))
    if not isinstance(body, dict):
        text = "The body is not a JSON object. Write what the endpoint takes."
        raise BadLine(Fault("invalid_body", text, number, "body"))
    return Line(number, custom_id, body)
