"""TensorRT: an engine is machine code for one GPU and one TensorRT, and is not looked into; of an .onnx
file its own parser tells what it does not take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import ERROR, NOTE, WARNING, Facts, Finding, Seen, Subject, Target
from sonorant.errors import EngineError, MissingExtraError
from sonorant.networks import cut, streaming
from sonorant.networks.engines import tensorrt_library

_TOLD = 5
"""refusals that are told"""
_SMALLEST = 1024
"""bytes of an engine that is whole"""


def look(subject: Subject) -> Iterator[Seen]:
    """That it is one."""
    if subject.size < _SMALLEST:
        built = replace(subject, again="Build the engine again from the ONNX model")
        yield truncated(built, f"It has {subject.size} bytes, fewer than any engine")
        return
    yield Facts(file=subject.name, kind="TensorRT", bytes=subject.size)
    yield Finding(
        "tensorrt-engine",
        ERROR,
        what="It is a TensorRT engine, and was not built on this machine as far as can be known",
        why="An engine holds machine code for the GPU and the TensorRT that built it; others refuse it or "
        "run what somebody else compiled",
        remedy="Build it here from the ONNX model: `sonorant prepare MODEL --to tensorrt`",
        where=subject.name,
    )


def refused(subject: Subject, target: Target) -> Iterator[Finding]:
    """What TensorRT's parser does not take of an .onnx file, and which of it preparing mends; a note where it
    cannot be asked."""
    try:
        said = tensorrt_library.refused(subject.path)
        left = _left(subject.path, target, said) if said and target.given else said
    except (MissingExtraError, EngineError) as error:
        yield Finding(
            "tensorrt-not-asked",
            NOTE,
            what="Whether TensorRT takes it could not be found out",
            why=f"{error.what}. {error.why}" if error.why else error.what,
            remedy=error.remedy,
            where=subject.name,
        )
        return
    if mended := [each for each in said if each not in left]:
        yield Finding(
            "tensorrt-rewritten",
            WARNING,
            what="TensorRT does not take this as it is, which preparing mends",
            why="; ".join(mended[:_TOLD]),
            remedy="Prepare it, which cuts and rewrites it by itself: `sonorant prepare MODEL --to tensorrt`",
            where=subject.name,
        )
    if left:
        yield Finding(
            "tensorrt-refuses",
            ERROR,
            what="TensorRT does not take it",
            why="; ".join(left[:_TOLD]),
            remedy="Leave this network on ONNX Runtime, or export it without these operators",
            where=subject.name,
        )


def _left(path: Path, target: Target, said: list[str]) -> list[str]:
    """What the parser says of what preparing gives it; `said` where that cannot be made."""
    module, _, name = target.given.partition(":")
    left: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        try:
            for i, part in enumerate(_parts(path, target.cut, Path(scratch))):
                folder = Path(scratch) / str(i)
                folder.mkdir()
                left += tensorrt_library.refused(getattr(import_module(module), name)(part, folder))
        except EngineError:
            raise
        except Exception:  # whatever a strange graph makes a rewriting say
            return said
    return left


def _parts(path: Path, output: str, folder: Path) -> list[Path]:
    """What is prepared of a file: the whole, or the parts that run in windows, and nothing before those."""
    if output:
        with suppress(cut.Uncut):
            return streaming.written(path, output, folder)
    return [path]
