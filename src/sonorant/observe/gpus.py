"""What the GPUs of this machine do, by NVIDIA's library, where it and a driver are installed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gpu:
    index: str
    name: str
    used: float
    """share of the last moments in which it computed, 0 to 1"""
    memory_used: int
    """bytes, of all processes together"""
    memory: int
    """bytes"""


class Gpus:
    """Reads them. `present` is False, and nothing is read, where `pynvml` or the driver is absent."""

    def __init__(self) -> None:
        self._nvml: Any = None
        try:
            import pynvml
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            log.debug("no GPU is watched: %s", error)
            return
        self._nvml = pynvml

    @property
    def present(self) -> bool:
        return self._nvml is not None

    def read(self) -> tuple[Gpu, ...]:
        """Every GPU that answers. May block for milliseconds in the driver: not for the event loop."""
        if self._nvml is None:
            return ()
        found = []
        for index in range(self._nvml.nvmlDeviceGetCount()):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
                used = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
                name = self._nvml.nvmlDeviceGetName(handle)
            except self._nvml.NVMLError as error:  # one that is divided (MIG) or lost tells nothing
                log.debug("GPU %s tells nothing: %s", index, error)
                continue
            found.append(Gpu(str(index), name, used, memory.used, memory.total))
        return tuple(found)
