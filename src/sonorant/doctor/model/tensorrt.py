"""TensorRT: an engine is machine code for one GPU and one TensorRT, and is not looked into; of an .onnx
file its own parser tells what it does not take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import ERROR, NOTE, WARNING, Facts, Finding, Seen, Subject
from sonorant.errors import EngineError, MissingExtraError
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


def refused(subject: Subject, given: str) -> Iterator[Finding]:
    """What TensorRT's parser does not take of an .onnx file, and which of it preparing mends; a note where it
    cannot be asked. `given`: as of `diagnose`."""
    try:
        said = tensorrt_library.refused(subject.path)
        left = _left(subject.path, given, said) if said and given else said
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
            what="TensorRT does not take it as it is, and does as it is rewritten",
            why="; ".join(mended[:_TOLD]),
            remedy="Prepare it, which rewrites it by itself: `sonorant prepare MODEL --to tensorrt`",
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


def _left(path: Path, given: str, said: list[str]) -> list[str]:
    """What the parser says of what preparing gives it; `said` where that cannot be made."""
    module, _, name = given.partition(":")
    with tempfile.TemporaryDirectory(prefix="sonorant-") as folder:
        try:
            rewritten = getattr(import_module(module), name)(path, Path(folder))
        except Exception:  # whatever a strange graph makes a rewriting say
            return said
        return tensorrt_library.refused(rewritten)
