"""Looking into what torch.save and pickle write, without torch and without loading anything."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from sonorant.doctor.model import imports, pickles, tensors
from sonorant.doctor.model.faults import damaged, truncated, weights_size
from sonorant.doctor.model.finding import ERROR, Facts, Finding, Seen, Subject, some
from sonorant.doctor.model.pickles import Call, Global, Persistent
from sonorant.doctor.model.weights import Ward
from sonorant.families.layouts import WeightsFile

_MAGIC = 0x1950A86A20F9469CFC6C
"""the first pickle of torch's format before 1.6 (torch/serialization.py, MAGIC_NUMBER)"""
_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "LongStorage": "int64",
    "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "BFloat16Storage": "bfloat16",
}  # fmt: skip
_LARGEST_PICKLE = 256 << 20
"""bytes"""
_DEEPEST = 1_000_000
"""values that are walked through for tensors"""


def look_zip(subject: Subject, wanted: WeightsFile | None = None) -> Iterator[Seen]:
    """torch.save of 1.6 and later, TorchScript, torch.package, or another archive. `wanted`: the family's."""
    try:
        archive = zipfile.ZipFile(subject.path)
        names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield truncated(subject, f"Its table of contents, which stands at the end, is missing: {error}")
        return
    with archive:
        root = next((n.removesuffix("data.pkl") for n in names if n.rpartition("/")[2] == "data.pkl"), None)
        if any(n.endswith("/.data/extern_modules") for n in names):
            yield _program(subject, "a torch.package archive")
        elif root is None:
            yield _archive(subject, names)
        else:
            script = f"{root}constants.pkl" in names or any(n.startswith(f"{root}code/") for n in names)
            yield from _torch(subject, archive, root, script, wanted)


def _torch(
    subject: Subject, archive: zipfile.ZipFile, root: str, script: bool, wanted: WeightsFile | None
) -> Iterator[Seen]:
    ward = Ward()
    found: list[Finding] = []
    try:
        if archive.getinfo(f"{root}data.pkl").file_size > _LARGEST_PICKLE:
            raise pickles.BrokenPickle(f"its table of weights is larger than {_LARGEST_PICKLE >> 20} MiB")
        with archive.open(f"{root}data.pkl") as stream:
            pickle = pickles.read(stream)  # type: ignore[arg-type]
    except pickles.BrokenPickle as error:
        yield from imports.judged(subject, error.imports, whole=False)
        yield damaged(subject, str(error))
        return
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        yield damaged(subject, str(error))
        return
    if script:
        yield _facts(subject, "TorchScript", ward)
        yield _program(subject, "TorchScript")
        return
    found += imports.judged(subject, [*pickle.imports, *_hidden(archive, root)])
    short, bad = [], []
    shapes: dict[str, tuple[int, ...]] = {}
    for name, storage, shape, offset in _tensors(pickle.value):
        shapes[name] = shape
        key, dtype, count = storage
        try:
            info = archive.getinfo(f"{root}data/{key}")
            data = archive.read(info) if info.file_size <= subject.size else b""
        except KeyError:
            short.append(name)
            continue
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError):
            bad.append(name)
            continue
        if len(data) < count * dtype.itemsize:
            short.append(name)
            continue
        _admit(ward, name, np.frombuffer(data, dtype, count), shape, offset)
    if short:
        found.append(weights_size(subject, short))
    if bad:
        found.append(damaged(subject, f"the checksums of {some(bad)} do not fit", some(bad)))
    if not found:
        found += tensors.compared(subject, shapes, wanted)
    yield _facts(subject, "PyTorch", ward)
    yield from found
    yield from ward.findings(subject)


def _hidden(archive: zipfile.ZipFile, root: str) -> Iterator[Global]:
    """What other tables in the archive import. Readers differ in which of several they take."""
    for info in archive.infolist():
        if info.filename.rpartition("/")[2] == "data.pkl" and info is not archive.getinfo(f"{root}data.pkl"):
            try:
                with archive.open(info) as stream:
                    yield from pickles.read(stream).imports  # type: ignore[arg-type]
            except pickles.BrokenPickle as error:
                yield from error.imports
            except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
                continue  # nobody else can read it either


def look_pickle(subject: Subject, wanted: WeightsFile | None = None) -> Iterator[Seen]:
    """A bare pickle, or torch.save before 1.6: several pickles, then the storages one after the other."""
    ward = Ward()
    found: list[Finding] = []
    short: list[str] = []
    ran: list[Global] = []
    with subject.path.open("rb") as stream:
        try:
            pickle = _next(stream, ran)
            legacy = pickle.value == _MAGIC
            kind = "PyTorch, before 1.6" if legacy else "pickle"
            if legacy:
                for _ in range(3):  # protocol, machine, the object itself
                    pickle = _next(stream, ran)
                keys = _next(stream, ran).value
            found += imports.judged(subject, ran)
        except pickles.BrokenPickle as error:
            yield from imports.judged(subject, [*ran, *error.imports], whole=False)
            yield truncated(subject, f"It ends inside a pickle, or is damaged there: {error}")
            return
        if legacy and isinstance(keys, list):
            placed = _placed(stream, keys, {s[0]: s for _, s, *_ in _tensors(pickle.value)}, subject.size)
            for name, (key, dtype, count), shape, offset in _tensors(pickle.value):
                if key not in placed:
                    short.append(name)
                    continue
                stream.seek(placed[key])
                data = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
                _admit(ward, name, data, shape, offset)
    if short:
        found.append(weights_size(subject, short))
    if not found:
        found += tensors.compared(
            subject, {name: shape for name, _, shape, _ in _tensors(pickle.value)}, wanted
        )
    yield _facts(subject, kind, ward)
    yield from found
    yield from ward.findings(subject)


def _next(stream: BinaryIO, ran: list[Global]) -> pickles.Pickle:
    """The next pickle; what it imports is added to `ran`."""
    pickle = pickles.read(stream)
    ran += pickle.imports
    return pickle


def _placed(stream: BinaryIO, keys: list[Any], storages: dict[Any, Any], size: int) -> dict[Any, int]:
    """Storage → where its values begin, of those that are whole. Each has its count before it, as int64."""
    placed: dict[Any, int] = {}
    for key in keys:
        if key not in storages:
            break
        stream.read(8)
        _, dtype, count = storages[key]
        end = stream.tell() + count * dtype.itemsize
        if end > size:
            break
        placed[key] = stream.tell()
        stream.seek(end)
    return placed


def _tensors(value: Any) -> Iterator[tuple[str, tuple[Any, Any, int], tuple[int, ...], int]]:
    """Name, storage (key, dtype, elements), shape and offset of the tensors in a pickle's value."""
    waiting: list[tuple[str, Any]] = [("", value)]
    seen: set[int] = set()
    while waiting and len(seen) < _DEEPEST:
        name, one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            waiting += [(f"{name}.{key}".lstrip("."), inner) for key, inner in one.items()]
        elif isinstance(one, list | tuple):
            waiting += [(name, inner) for inner in one if not isinstance(inner, str | int | float)]
        elif isinstance(one, Call):
            if (tensor := _tensor(one)) is not None:
                yield (name or "a tensor", *tensor)
                continue
            waiting += [(name, one.arguments), (name, one.state), (name, one.items)]


def _tensor(call: Call) -> Any:
    if not isinstance(call.function, Global) or not call.function.name.startswith("_rebuild_tensor"):
        return None
    try:
        storage, offset, shape, _, *_ = call.arguments
        _, kind, key, _, count, *_ = storage.id
        if not isinstance(storage, Persistent):
            return None
        dtype = _dtype(kind.name)
        sizes = (*shape, offset, count)
        if any(type(n) is not int or n < 0 for n in sizes):
            return None
        return (key, dtype, count), tuple(shape), offset
    except (TypeError, ValueError, AttributeError, KeyError):
        return None


def _dtype(storage: str) -> np.dtype[Any]:
    import ml_dtypes

    name = _DTYPES.get(storage, "uint8")
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def _admit(ward: Ward, name: str, data: Any, shape: tuple[int, ...], offset: int) -> None:
    count = int(np.prod(shape, dtype=np.int64))
    part = data[offset : offset + count]  # its values in the order of the file, which no check minds
    if part.size == count:
        weight = len(shape) > 1 and "weight" in name.rpartition(".")[2] and "lora_B" not in name
        ward.admit(name, part, weight=weight)


def _facts(subject: Subject, kind: str, ward: Ward) -> Facts:
    return Facts(
        file=subject.name, kind=kind, bytes=subject.size, parameters=ward.parameters, dtypes=ward.dtypes
    )


def _program(subject: Subject, kind: str) -> Finding:
    return Finding(
        "torchscript",
        ERROR,
        what=f"It is {kind}: a program with its weights",
        why="Whoever made it decides what it does; nothing here runs a program that came in a file",
        remedy="Get the weights alone (a state dict or safetensors) or the ONNX form; "
        "where you trust it, export it to ONNX yourself",
        where=subject.name,
    )


def _archive(subject: Subject, names: list[str]) -> Finding:
    return Finding(
        "packed",
        ERROR,
        what="It is a zip archive, not a model",
        why=f"It holds {some(names)}" if names else "It is empty",
        remedy="Unpack it, and name the folder that comes out",
        where=subject.name,
    )
