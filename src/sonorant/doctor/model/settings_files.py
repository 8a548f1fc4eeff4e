"""Settings beside the weights: can they be read, do they name files that are not there, or code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sonorant.doctor.model.finding import ERROR, NOTE, Finding, Severity, some

_LARGEST = 64 << 20
"""bytes"""
_YAML_OBJECTS = re.compile(r"!!python/(object|name|module)[\w:/.]*")
_YAML_CALLS = re.compile(r"(?<![\w!])!(new|name|apply|module):[\w.]+")
"""HyperPyYAML, which CosyVoice's settings are written in"""
_TRUST = re.compile(r"^\s*trust_remote_code\s*:\s*true", re.MULTILINE | re.IGNORECASE)


def look(path: Path, name: str, *, recognised: bool) -> Iterator[Finding]:
    """`recognised`: a family here reads the folder by itself, and runs no code of it."""
    try:
        data = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
        text = data.decode("utf-8")
        tree = json.loads(text) if path.suffix == ".json" and data else None
    except (ValueError, RecursionError) as error:
        yield Finding(
            "settings-broken",
            ERROR,
            what="The settings cannot be read",
            why=_encoding(data) or str(error),
            remedy="Save it again as UTF-8, without a byte order mark"
            if _encoding(data)
            else "Fetch the file again; where you changed it, check it with `python -m json.tool FILE`",
            where=name,
        )
        return
    severity = NOTE if recognised else ERROR
    if isinstance(tree, dict):
        yield from _code(tree, name, severity)
        yield from _missing(path, tree, name)
    elif path.suffix in (".yaml", ".yml"):
        yield from _yaml(text, name, severity)


def _encoding(data: bytes) -> str:
    """Why its bytes are not those of a text in UTF-8; "" = they are."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "It begins with a byte order mark"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        return "It is text in UTF-16, as some editors and shells of Windows write it, and not in UTF-8"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"It is no text in UTF-8, by its byte {error.start}, 0x{data[error.start]:02x}"
    return ""


def _code(tree: dict[str, Any], name: str, severity: Severity) -> Iterator[Finding]:
    classes = tree.get("auto_map")
    asked = tree.get("trust_remote_code") is True or "custom_pipelines" in tree
    if classes or asked:
        named = [str(v) for v in classes.values()] if isinstance(classes, dict) else ["trust_remote_code"]
        yield Finding(
            "remote-code",
            severity,
            what=f"It asks for code of its own: {some(named)}",
            why="The model's classes are Python files of its repository, which transformers would run "
            "(trust_remote_code)",
            remedy="Use an export that needs no code (ONNX), or a model of a family that is here; "
            "no code that comes with a model is run",
            where=name,
        )


def _yaml(text: str, name: str, severity: Severity) -> Iterator[Finding]:
    if match := _YAML_OBJECTS.search(text):
        yield Finding(
            "yaml-runs-code",
            ERROR,
            what=f"Loading it with a full YAML loader would run code: {match[0]}",
            why="Its tags make Python objects; settings need none",
            remedy="Do not load it, and tell where it came from",
            where=name,
        )
    elif match := _YAML_CALLS.search(text):
        yield Finding(
            "yaml-names-code",
            NOTE,
            what=f"It names Python classes: {match[0]}",
            why="It is written for HyperPyYAML, which makes objects of its own project",
            remedy="Nothing, where the model's family is served here: only values are read from it",
            where=name,
        )
    if _TRUST.search(text):
        yield from _code({"trust_remote_code": True}, name, severity)


def _missing(path: Path, tree: dict[str, Any], name: str) -> Iterator[Finding]:
    """Files that it names: shards of weights, and the parts of a FunASR model."""
    named: set[str] = set()
    for key in ("weight_map", "file_path_metas"):
        inner = tree.get(key)
        if isinstance(inner, dict):
            named |= {value for value in _texts(inner) if re.search(r"\.\w{1,12}$", value)}
    inside = [value for value in named if ".." not in value and not value.startswith(("/", "\\"))]
    if absent := sorted(value for value in inside if not (path.parent / value).is_file()):
        yield Finding(
            "file-missing",
            ERROR,
            what=f"{len(absent)} files that it names are missing: {some(absent)}",
            why="The download is incomplete, or files were moved",
            remedy="Fetch what is missing, and keep the names and folders of the repository",
            where=name,
        )


def _texts(tree: dict[str, Any]) -> Iterator[str]:
    for value in tree.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _texts(value)
