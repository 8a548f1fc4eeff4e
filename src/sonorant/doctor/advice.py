"""What this machine should serve, and with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sonorant.catalogue import Catalogue
from sonorant.doctor.compatibility import Finding, tables
from sonorant.doctor.environment import Environment
from sonorant.doctor.speed import Speed
from sonorant.settings import Settings, installed_defaults

MANY = "for many requests at a time; one by itself may take longer"
"""why fewer threads are advised"""
_MEMORY_A_BYTE = 3
"""bytes of memory that a model takes for a byte of its files: weights, their packed copy, what a run needs"""


@dataclass(frozen=True, slots=True)
class Advice:
    device: str
    models: tuple[str, ...]
    """the default models that fit into the memory; the small ones on a machine below the minimum"""
    threads: int | None
    """of a run of ONNX Runtime; None = as Sonorant does by itself"""

    def toml(self, note: str = MANY) -> str:
        """A settings file that says so; `note`: MANY, in another language."""
        lines = [f'device = "{self.device}"', "models = [" + ", ".join(f'"{m}"' for m in self.models) + "]"]
        if self.threads is not None:
            lines += ["", f"[onnxruntime]  # {note}", f"intra_op_num_threads = {self.threads}"]
        return "\n".join(lines) + "\n"


def advice(
    found: Environment, findings: Sequence[Finding], speed: Speed | None, settings: Settings
) -> Advice:
    """By what was found, and measured where something was."""
    usable = bool(found.cards.cards) and "onnxruntime-gpu" in found.packages
    mended = not any(
        finding.level == "error" and not finding.name.startswith("minimum") for finding in findings
    )
    usual = min(found.processor.usable, 4)
    threads = speed.threads if speed and speed.threads not in (0, usual) else None
    weak = any(finding.name in ("minimum-cores", "minimum-memory") for finding in findings)
    names = tuple(tables()["minimum"]["small_models"]) if weak else installed_defaults()
    return Advice("cuda" if usable and mended else "cpu", _fitting(names, found, settings), threads)


def _fitting(names: tuple[str, ...], found: Environment, settings: Settings) -> tuple[str, ...]:
    """As many of these models as there is memory for, the larger ones left out first."""
    catalogue = Catalogue(settings.catalogue)
    if found.ram is None:
        return names
    room = found.ram.usable * settings.memory.share
    sizes = {name: catalogue.find(name).size * _MEMORY_A_BYTE for name in names}
    kept = list(names)
    while len(kept) > 1 and sum(sizes[name] for name in kept) > room:
        kept.remove(max(kept, key=lambda name: sizes[name]))
    return tuple(kept)
