"""The processor and the memory of this machine, as far as this process may use them."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from sonorant.observe.machine import cores, memory

INSTRUCTIONS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "BF16": ("avx512_bf16",),
    "AMX": ("amx_tile",),
    "NEON": ("asimd", "neon"),
    "SVE": ("sve",),
}
"""what they are called, and the kernel's flags for them, one of which is enough"""


@dataclass(frozen=True, slots=True)
class Processor:
    model: str
    machine: str
    """x86_64, aarch64 …"""
    present: int
    """cores of the machine"""
    usable: int
    """cores that this process may use: affinity and control group"""
    instructions: tuple[str, ...]
    """those of `INSTRUCTIONS` that it has"""


@dataclass(frozen=True, slots=True)
class Ram:
    machine: int
    """bytes"""
    usable: int
    """bytes: the control group's limit, where there is a narrower one"""
    free: int
    """bytes"""


def processor(root: Path = Path("/")) -> Processor:
    """By the kernel's own words, where there are any."""
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    model, instructions = parse(text)
    return Processor(
        model or platform.processor() or platform.machine(),
        platform.machine(),
        os.cpu_count() or 1,
        cores(root),
        instructions,
    )


def parse(cpuinfo: str) -> tuple[str, tuple[str, ...]]:
    """The model's name ("" where it is not told) and the instructions of /proc/cpuinfo."""
    model = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    listed = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = set(listed[1].split()) if listed else set()
    return model[1].strip() if model else "", tuple(
        name for name, words in INSTRUCTIONS.items() if flags & set(words)
    )


def ram(root: Path = Path("/")) -> Ram | None:
    """None where the system does not tell."""
    usable = memory(root)
    if usable is None:
        return None
    total = re.search(r"^MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
    machine = int(total[1]) * 1024 if total else usable.limit
    return Ram(machine, usable.limit, max(0, usable.limit - usable.used))
