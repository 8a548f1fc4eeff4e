"""Weights that an .onnx file keeps in files beside it (external data)."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx

from sonorant.doctor.model.faults import weights_size
from sonorant.doctor.model.finding import ERROR, Finding, Subject, some
from sonorant.doctor.model.kinds import mistaken
from sonorant.doctor.model.operators import tensors
from sonorant.networks.signature import Array

_HEAD = 1 << 16


def absent(subject: Subject, model: Any) -> list[Finding]:
    """What is wrong with the files and with the places in them that the tensors name."""
    by_file: dict[str, list[Any]] = defaultdict(list)
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            by_file[_entry(tensor, "location")].append(tensor)
    return [finding for name, held in by_file.items() for finding in _file(subject, name, held)]


def sizes(subject: Subject, model: Any) -> dict[str, int]:
    """Name → bytes of the files that are there."""
    names = {_entry(t, "location") for t in tensors(model) if t.data_location == onnx.TensorProto.EXTERNAL}
    paths = {name: _place(subject, name) for name in names}
    return {name: path.stat().st_size for name, path in paths.items() if path and path.is_file()}


def mapped(subject: Subject, tensor: Any) -> Array | None:
    """The tensor's values, not read before they are used; None where they are not there, or packed."""
    path = _place(subject, _entry(tensor, "location"))
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        offset, shape = int(_entry(tensor, "offset") or 0), tuple(tensor.dims)
        if path is None or not path.is_file() or tensor.data_type in _PACKED:
            return None
        return np.memmap(path, dtype, "r", offset, shape) if math.prod(shape) else np.zeros(shape, dtype)
    except (ValueError, TypeError, KeyError, OSError, OverflowError):
        return None


_PACKED = {onnx.TensorProto.STRING, onnx.TensorProto.INT4, onnx.TensorProto.UINT4}


def _file(subject: Subject, name: str, held: list[Any]) -> list[Finding]:
    where = f"{subject.name}: {some(tensor.name for tensor in held)}"
    path = _place(subject, name)
    if path is None:
        return [
            Finding(
                "external-escapes",
                ERROR,
                what=f"It wants its weights from outside of its folder: {name!r}",
                why="A model that names other files of a machine may be meant to read them",
                remedy="Do not use it, unless you made it yourself: then save it again with all tensors in "
                "one file beside it (onnx.save_model, location='model.data')",
                where=where,
            )
        ]
    needed = max(_end(tensor) for tensor in held)
    if not path.is_file():
        there = some(sorted(p.name for p in subject.path.parent.glob("*data*"))) or "nothing of the kind"
        return [
            Finding(
                "external-missing",
                ERROR,
                what=f"The file {name} with its weights is missing",
                why=f"The model is two files, and it needs at least {needed} bytes of this one; "
                f"beside the model there is {there}",
                remedy="Fetch that file too and put it beside the model, under exactly that name",
                where=where,
            )
        ]
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    size = path.stat().st_size
    if found := list(mistaken(Subject(path, name, subject.again), head)):
        return [replace(finding, where=f"{subject.name}: {name}") for finding in found]
    if size < needed:
        return [
            Finding(
                "external-short",
                ERROR,
                what=f"The file {name} with its weights is truncated",
                why=f"It has {size} bytes, and the model needs {needed}",
                remedy=subject.again,
                where=where,
            )
        ]
    if wrong := [tensor.name for tensor in held if _length(tensor) != _needed(tensor)]:
        return [weights_size(subject, wrong)]
    return []


def _place(subject: Subject, name: str) -> Path | None:
    """Where the file must lie; None = outside of the model's folder."""
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or PureWindowsPath(name).is_absolute() or ".." in pure.parts:
        return None
    if ".." in PureWindowsPath(name).parts or "\0" in name:
        return None
    return subject.path.parent / name


def _entry(tensor: Any, key: str) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")


def _number(tensor: Any, key: str) -> int:
    value = _entry(tensor, key)
    return int(value) if value.isdigit() else 0


def _needed(tensor: Any) -> int:
    try:
        itemsize = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except (KeyError, TypeError):
        return _number(tensor, "length")
    count: int = math.prod(tensor.dims)
    return (count + 1) // 2 if tensor.data_type in _PACKED else count * itemsize


def _length(tensor: Any) -> int:
    return _number(tensor, "length") or _needed(tensor)


def _end(tensor: Any) -> int:
    return _number(tensor, "offset") + max(_length(tensor), _needed(tensor))
