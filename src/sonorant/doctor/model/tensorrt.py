"""TensorRT: an engine is machine code for one GPU and one TensorRT, and is not looked into; of an .onnx
file its own parser tells what it does not take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import ERROR, NOTE, Facts, Finding, Seen, Subject
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


def refused(subject: Subject) -> Iterator[Finding]:
    """What TensorRT's parser does not take of an .onnx file; a note where it cannot be asked."""
    try:
        said = tensorrt_library.refused(subject.path)
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
    if said:
        yield Finding(
            "tensorrt-refuses",
            ERROR,
            what="TensorRT does not take it",
            why="; ".join(said[:_TOLD]),
            remedy="Prepare it all the same, since boolean indexing is then made dense: "
            "`sonorant prepare MODEL --to tensorrt`; or leave this network on ONNX Runtime",
            where=subject.name,
        )
