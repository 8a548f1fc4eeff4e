"""What this machine has: processor, memory, disk, GPUs, and the libraries that compute."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sonorant.confined import confined
from sonorant.doctor.cards import Cards, cards
from sonorant.doctor.processor import Processor, Ram, processor, ram
from sonorant.errors import SonorantError

_PROBES = {
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "onnx": "onnx",
    "tensorrt": "tensorrt",
    "ctranslate2": "ctranslate2",
    "nvml": "pynvml",
    "nvidia_libraries": "",
}
"""functions of `probes`, and the module without which each is not asked"""
_SECONDS = 60.0
"""for one of them: torch's first import from a slow disk"""
_DISK_SECONDS = 20.0
_MEMORY = 16 << 30
"""bytes that a child may map; CUDA reserves more than it uses"""
_AT_A_TIME = 4

_Ask = Callable[[str, Mapping[str, Any], float], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Environment:
    system: str
    python: str
    glibc: str
    """"" = not glibc's system"""
    processor: Processor
    ram: Ram | None
    cards: Cards
    disk: Mapping[str, Any]
    """what `disk.measure` says; or `failed`, why it could not be"""
    libraries: Mapping[str, Mapping[str, Any]]
    """name → what `probes` say of it; or `failed`, the words with which it did not load"""
    packages: Mapping[str, str]
    """every installed package → its version"""


def environment(folder: Path, ask: _Ask | None = None) -> Environment:
    """`folder`: where models are kept. `ask`: how a function is run in a child.

    Every question has a bound: all together take seconds, three minutes at the very worst.
    """
    ask = ask or _in_a_child
    wanted = [name for name, module in _PROBES.items() if not module or find_spec(module) is not None]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        asked = {name: pool.submit(_answer, ask, f"sonorant.doctor.probes:{name}", {}) for name in wanted}
        told = {name: future.result() for name, future in asked.items()}
    # alone, so that importing does not slow it down
    disk = _answer(ask, "sonorant.doctor.disk:measure", {"folder": str(folder)}, _DISK_SECONDS)
    nvml = told.pop("nvml", {"absent": "nvidia-ml-py is not installed"})
    if "failed" in nvml:
        nvml = {"absent": nvml["failed"]}
    loaded = told.pop("nvidia_libraries")
    libraries = told | ({} if "failed" in loaded else {k: v for k, v in loaded.items() if k not in told})
    name, glibc = platform.libc_ver()
    return Environment(
        platform.platform(),
        platform.python_version(),
        glibc if name == "glibc" else "",
        processor(),
        ram(),
        cards(nvml),
        disk,
        libraries,
        packages(),
    )


def _answer(
    ask: _Ask, target: str, arguments: Mapping[str, Any], seconds: float = _SECONDS
) -> dict[str, Any]:
    try:
        return ask(target, arguments, seconds)
    except SonorantError as error:
        return {"failed": str(error)}


def _in_a_child(target: str, arguments: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    answer: dict[str, Any] = confined(
        target, arguments, title="Looking at this machine", seconds=seconds, memory_bytes=_MEMORY
    )
    return answer


def packages() -> dict[str, str]:
    """Name, as PEP 503 normalises it → version. Where two copies are installed, that which is imported."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a folder that pip left behind has none
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found
