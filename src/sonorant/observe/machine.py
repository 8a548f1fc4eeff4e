"""The cores and the memory that this machine or container may use, and how often the kernel killed for want
of memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = 2**60
"""bytes: cgroup v1 writes a number near 2**63 where there is no limit"""


@dataclass(frozen=True, slots=True)
class Memory:
    used: int
    """bytes that cannot be given up at once: page cache that nobody used lately does not count"""
    limit: int
    """bytes"""
    kills: int | None
    """processes that the kernel ended for want of memory, in the life of the group; None = untold"""


def memory(root: Path = Path("/")) -> Memory | None:
    """By the narrower limit, the control group's or the machine's. None where the system does not tell."""
    try:
        machine = _pairs(root / "proc/meminfo", unit=1024)
        used, limit = machine["MemTotal:"] - machine["MemAvailable:"], machine["MemTotal:"]
    except (OSError, KeyError):
        return None
    kills = _value(root / "proc/vmstat", "oom_kill")
    for folder, version in _groups(root, "memory"):
        names = _V1 if version == 1 else _V2
        try:
            bound = (folder / names.limit).read_text().strip()
            if bound.isdigit() and int(bound) < min(limit, UNLIMITED):
                held = int((folder / names.used).read_text())
                idle = _value(folder / "memory.stat", names.idle) or 0
                return Memory(held - idle, int(bound), _value(folder / names.events, "oom_kill"))
        except (OSError, ValueError):
            continue  # no such controller in this group
    return Memory(used, limit, kills)


@dataclass(frozen=True, slots=True)
class _Names:
    limit: str
    used: str
    idle: str
    events: str


_V2 = _Names("memory.max", "memory.current", "inactive_file", "memory.events")
_V1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "memory.oom_control")


def cores(root: Path = Path("/")) -> int:
    """How many cores this process may use: of its affinity, and as many as its control group has time for.

    A container that may use two cores of a machine with 64 sees all of them in `os.cpu_count()`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [share for folder, version in _groups(root, "cpu") if (share := _share(folder, version))]
    return max(1, min([allowed, *map(math.ceil, shares)]))


def _share(folder: Path, version: int) -> float | None:
    """Seconds of processor time that a group may use in a second; None where there is no bound."""
    try:
        if version == 2:
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None  # "max", or no such controller in this group


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Where the control group of this process may be, and of which version it is: by its own path, or as a
    container sees it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().split()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            mount = root / "sys/fs/cgroup" / (controller if controllers else "")
            for folder in (mount / path.lstrip("/"), mount):
                yield folder, 1 if controllers else 2


def _pairs(path: Path, unit: int = 1) -> dict[str, int]:
    """The lines "NAME NUMBER …" of a file."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {line[0]: int(line[1]) * unit for line in lines if len(line) > 1 and line[1].isdigit()}


def _value(path: Path, name: str) -> int | None:
    try:
        return _pairs(path).get(name)
    except OSError:
        return None
