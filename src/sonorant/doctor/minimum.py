"""The machine against the minimum: what it lacks."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from sonorant.doctor.compatibility import Finding, Level, tables
from sonorant.doctor.environment import Environment

_GB = 1e9
_X86 = ("x86_64", "AMD64")
_SLACK = 0.92
"""of the memory that a machine is sold with, which its kernel leaves to programs"""


def shortcomings(found: Environment) -> list[Finding]:
    """What of `found` is below the minimum; none where it will do."""
    return [*_processor(found), *_memory(found), *_disk(found), *_gpu(found)]


def verdict(found: Environment) -> dict[str, bool | None]:
    """Part of the machine → whether it meets the minimum; None = there is none, or nothing is known of it."""
    failed = {finding.name for finding in shortcomings(found)}
    known = {
        "cores": True,
        "instructions": found.processor.machine in _X86,
        "memory": found.ram is not None,
        "disk": "failed" not in found.disk,
        "gpu": bool(found.cards.cards),
    }
    return {name: f"minimum-{name}" not in failed if there else None for name, there in known.items()}


def _said(name: str, level: Level = "error", /, **holes: object) -> Finding:
    minimum = tables()["minimum"]
    fillings = {"wanted": minimum.get(name, ""), "small": " ".join(minimum["small_models"]), **holes}
    return Finding.of(f"minimum-{name}", level, minimum["says"][name], fillings)


def _processor(found: Environment) -> Iterator[Finding]:
    minimum = tables()["minimum"]
    if found.processor.usable < minimum["cores"]:
        yield _said("cores", found=found.processor.usable)
    if found.processor.machine in _X86 and minimum["instructions"] not in found.processor.instructions:
        yield _said("instructions")


def _memory(found: Environment) -> Iterator[Finding]:
    minimum = tables()["minimum"]["memory_gb"]
    if found.ram and found.ram.usable < minimum * _GB * _SLACK:
        yield _said("memory", wanted=minimum, found=f"{found.ram.usable / _GB:.1f}")


def _disk(found: Environment) -> Iterator[Finding]:
    minimum = tables()["minimum"]["random_read_ms"]
    if "failed" in found.disk:
        yield _said("unwritable", found=found.disk["failed"], folder=found.disk.get("folder", ""))
    elif found.disk["random_read"] * 1e3 > minimum:
        yield _said(
            "disk",
            "warning",
            wanted=minimum,
            found=f"{found.disk['random_read'] * 1e3:.1f}",
            folder=found.disk["folder"],
        )


def _gpu(found: Environment) -> Iterator[Finding]:
    minimum = tables()["minimum"]
    if "Nano" in found.cards.board and "Orin" not in found.cards.board:
        yield _said("board", found=found.cards.board)
    if "NVIDIA" in found.cards.silent and not found.cards.cards:
        yield _said("driver", "warning", found="NVIDIA", said=found.cards.absent)
    for card in found.cards.cards:
        weak = card.capability and Version(card.capability) < Version(minimum["gpu_capability"])
        if weak or card.memory < minimum["gpu_memory_gb"] * _GB:
            yield _said(
                "gpu",
                "warning",
                name=card.name,
                found=card.capability,
                memory=f"{card.memory / _GB:.1f}",
                wanted=minimum["gpu_capability"],
                wanted_memory=minimum["gpu_memory_gb"],
            )
