"""Joules, where the machine counts them: RAPL of Intel and AMD processors, NVML of NVIDIA's GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Energy:
    """Between two readings."""

    joules: dict[str, float]
    """what counts → joules of the whole machine in that time, whatever else it did"""
    unavailable: str = ""
    """why nothing was measured"""


class Counters:
    """Those of this machine, read when they are made and again at `taken`."""

    def __init__(self, device: str, root: Path = RAPL) -> None:
        self._packages, self._why = _packages(root)
        self._gpu = _Gpu(device) if device.startswith(("cuda", "auto")) else None
        self._before = self._read()

    def taken(self) -> Energy:
        """Since the counters were made."""
        after = self._read()
        joules = {
            name: (after[name] - was) % wrap
            for name, (was, wrap) in {n: (v, self._wrap(n)) for n, v in self._before.items()}.items()
            if name in after
        }
        return Energy(joules, "" if joules else self._why)

    def _read(self) -> dict[str, float]:
        found = {}
        for name, folder in self._packages.items():
            try:
                found[name] = int((folder / "energy_uj").read_text()) / 1e6
            except (OSError, ValueError):
                continue
        if self._gpu is not None and (joules := self._gpu.joules()) is not None:
            found["GPU"] = joules
        return found

    def _wrap(self, name: str) -> float:
        """Where a counter begins again."""
        try:
            return int((self._packages[name] / "max_energy_range_uj").read_text()) / 1e6
        except (KeyError, OSError, ValueError):
            return float("inf")


def _packages(root: Path) -> tuple[dict[str, Path], str]:
    """Processors by name, or why there are none."""
    zones = sorted(zone for zone in root.glob("intel-rapl:*") if zone.name.count(":") == 1)
    if not zones:
        return {}, "This machine shows no RAPL counters"
    readable = {}
    for zone in zones:
        try:
            int((zone / "energy_uj").read_text())
            readable[(zone / "name").read_text().strip()] = zone
        except (OSError, ValueError):
            continue
    return readable, "" if readable else "The RAPL counters can be read by root only"


class _Gpu:
    """The counter of an NVIDIA GPU (Volta and later)."""

    def __init__(self, device: str) -> None:
        self._nvml: Any = None
        try:
            import pynvml

            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
            self._nvml = pynvml
        except Exception:  # noqa: S110 - no driver, no GPU or no nvidia-ml-py: it is not measured, which is told
            pass

    def joules(self) -> float | None:
        if self._nvml is None:
            return None
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        except self._nvml.NVMLError:
            return None
