"""What a process does when memory is short, or a GPU's context is broken."""

from __future__ import annotations

import ctypes
from contextlib import suppress

from sonorant.errors import RequestError
from sonorant.observe.meter import out_of_memory

_POISONOUS = (
    "cuda error",
    "cuda failure",
    "illegal memory access",
    "device-side assert",
    "unspecified launch failure",
)
"""what torch and ONNX Runtime say when a kernel has broken the context: all later calls fail, too"""


def give_back() -> None:
    """Return what the C library keeps free to the system, where it can (glibc's malloc_trim)."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def poisoned(error: BaseException) -> bool:
    """Whether the process can compute nothing on its GPU any more; to be short of memory is no such thing."""
    told: BaseException | None = None if out_of_memory(error) else error
    while told is not None and not isinstance(told, RequestError):  # whose words may be the user's
        if any(words in str(told).lower() for words in _POISONOUS):
            return True
        told = told.__cause__
    return False
