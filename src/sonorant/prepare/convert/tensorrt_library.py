"""TensorRT, or TensorRT for RTX, which have one API: what is installed, and for which GPU."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from sonorant.errors import EngineError, MissingExtraError

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


def library(name: str = "") -> Library:
    """The one of that name; "": what is installed, TensorRT itself first.

    Raises MissingExtraError where there is none, EngineError for one that is too old.
    """
    wanted = (name,) if name else ("tensorrt", "tensorrt-rtx")
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


def gpu() -> Gpu | None:
    """The first GPU of this machine; None = there is none, or nothing here can tell."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        name = pynvml.nvmlDeviceGetName(handle)
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    except pynvml.NVMLError:
        return None
    return Gpu(name if isinstance(name, str) else name.decode(), (major, minor))
