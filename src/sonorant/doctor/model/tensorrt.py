"""Naming a TensorRT engine: it is machine code for one GPU and one TensorRT, and is not looked into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import ERROR, Facts, Finding, Seen, Subject

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
