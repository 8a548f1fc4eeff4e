"""Which GPUs are here: by NVIDIA's library, by `nvidia-smi`, and by what the kernel found on the bus."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NVIDIA_SMI_SECONDS = 15
_QUERY = "--query-gpu=driver_version,compute_cap,memory.total,name"
_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU that a driver answers for."""

    name: str
    memory: int
    """bytes"""
    capability: str
    """compute capability, "8.6"; "" where it is not told"""


@dataclass(frozen=True, slots=True)
class Cards:
    cards: tuple[Card, ...]
    driver: str
    """its version; "" where there is none"""
    cuda: str
    """the newest CUDA that the driver runs; "" where it is not told"""
    absent: str
    """why there are none, in the words of whoever was asked"""
    silent: tuple[str, ...]
    """makers of GPUs that are on the bus, whether a driver answers for them or not"""
    board: str
    """the Jetson that this is; "" = none"""


def cards(nvml: Mapping[str, Any], root: Path = Path("/")) -> Cards:
    """`nvml`: what `probes.nvml` said. Blocks for 15 s at most."""
    told = dict(nvml) if nvml.get("gpus") else _by_nvidia_smi() or dict(nvml)
    return Cards(
        tuple(Card(**card) for card in told.get("gpus", ())),
        told.get("driver", ""),
        told.get("cuda", ""),
        told.get("absent", ""),
        on_the_bus(root),
        board(root),
    )


def _by_nvidia_smi() -> dict[str, Any]:
    try:
        done = subprocess.run(
            ["nvidia-smi", _QUERY, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_NVIDIA_SMI_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse(done.stdout)


def parse(listing: str) -> dict[str, Any]:
    """The lines "driver, capability, MiB, name" of `nvidia-smi`, as `probes.nvml` would say it."""
    rows = [line.split(", ", 3) for line in listing.splitlines()]
    gpus = [
        {"name": row[3].strip(), "memory": int(row[2]) << 20, "capability": row[1]}
        for row in rows
        if len(row) == 4 and row[2].isdigit()
    ]
    return {"driver": rows[0][0], "gpus": gpus} if gpus else {}


def on_the_bus(root: Path = Path("/")) -> tuple[str, ...]:
    """Makers of the display and 3D controllers on the PCI bus (class 03)."""
    found = []
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        try:
            kind, vendor = ((device / name).read_text().strip() for name in ("class", "vendor"))
        except OSError:
            continue
        if kind.startswith("0x03") and vendor in _VENDORS:
            found.append(_VENDORS[vendor])
    return tuple(found)


def board(root: Path = Path("/")) -> str:
    """The name of the Jetson that this is."""
    try:
        name = (root / "proc/device-tree/model").read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""
    return name if "jetson" in name.lower() else ""
