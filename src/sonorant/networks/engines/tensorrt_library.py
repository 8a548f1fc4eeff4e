"""TensorRT, or TensorRT for RTX, which have one API: what is installed, and for which GPU."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from sonorant.errors import EngineError, MissingExtraError

NAMES = ("tensorrt", "tensorrt-rtx")
OLDEST = 10
"""before it, precision was a flag of the builder and not the graph's own"""
FP8 = (8, 9)
"""compute capability from which on there are tensor cores for it (Ada, Hopper)"""
EMULATED = ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")
"""operators of a dynamically quantised graph; TensorRT has none of them"""


@dataclass(frozen=True, slots=True)
class Library:
    """A builder."""

    name: str
    """tensorrt or tensorrt-rtx"""
    module: Any

    @property
    def version(self) -> str:
        return str(self.module.__version__)


@dataclass(frozen=True, slots=True)
class Gpu:
    """What an engine is built for."""

    name: str
    capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} sm{self.capability[0]}{self.capability[1]}"


def library(name: str = "") -> Library:
    """The one of that name; "": what is installed, TensorRT itself first.

    Raises MissingExtraError where there is none, EngineError for one that is too old.
    """
    wanted = (name,) if name else NAMES
    for each in wanted:
        try:
            module = importlib.import_module(each.replace("-", "_"))
        except ImportError:
            continue
        found = Library(each, module)
        if int(found.version.partition(".")[0]) < OLDEST and each == "tensorrt":
            raise EngineError(
                f"TensorRT {found.version} is too old",
                why="Before 10 the precision of a network was not that of its graph",
                remedy='Update it: `pip install "tensorrt>=10"`',
            )
        return found
    raise MissingExtraError(
        f"{' and '.join(wanted)} cannot be imported" if name else "TensorRT is not installed",
        why="" if name else "Neither tensorrt nor tensorrt-rtx can be imported",
        remedy='Install it: `pip install "sonorant[tensorrt]"` for servers\' GPUs, '
        '`pip install "sonorant[tensorrt-rtx]"` for GeForce RTX and for building without a GPU',
    )


def refused(model: Path) -> list[str]:
    """What TensorRT's parser says of the operators of an .onnx file that it does not take; [] = it takes all.

    Raises MissingExtraError without TensorRT, EngineError where that does not start: TensorRT itself needs a
    GPU even to parse.
    """
    chosen = library()
    trt = chosen.module
    log = trt.Logger(trt.Logger.INTERNAL_ERROR)
    try:
        builder = trt.Builder(log)
    except Exception as error:  # what its bindings raise where there is no driver
        raise EngineError(
            f"{chosen.name} {chosen.version} does not start",
            why=" ".join(str(error).split())[:300],
            remedy="Run it on a machine with an NVIDIA GPU, or install tensorrt-rtx, "
            "which needs none to parse",
        ) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(str(model)):
        return []
    return list(dict.fromkeys(said(parser.get_error(i)) for i in range(parser.num_errors)))


def said(error: Any) -> str:
    """An error of the parser, in a line."""
    return f"{error.node_operator()} {error.node_name()}: {error.desc()}".strip()


def described(device: str) -> str:
    """TensorRT as a proof names it, with the GPU: "tensorrt 10.13.2 NVIDIA A10G sm86".

    "" where it is not installed, or `device` is no GPU of this machine. Imports neither.
    """
    kind, _, index = device.partition(":")
    if kind not in ("cuda", "auto"):
        return ""
    for name in NAMES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found = gpu(int(index or 0))
        return f"{name} {version} {found}" if found else ""
    return ""


def gpu(index: int = 0) -> Gpu | None:
    """A GPU of this machine; None = there is none, or nothing here can tell."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        name = pynvml.nvmlDeviceGetName(handle)
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    except pynvml.NVMLError:
        return None
    return Gpu(name if isinstance(name, str) else name.decode(), (major, minor))
