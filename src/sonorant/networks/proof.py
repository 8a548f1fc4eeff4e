"""What shows that a derived artefact computes what its source does: comparison, verdict, bindings.

A proof holds for the bytes, the engine and the kind of machine that it names, and for nothing else. It is
kept as JSON beside the artefact, to be read by a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

import numpy as np

from sonorant.networks.signature import Array

Kind = Literal["cut", "batch", "export"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same data."""

    data: str
    """what was fed, in words"""
    differences: Mapping[str, float]
    """output → the largest absolute difference; infinite where shape or dtype differ, or where one is not a
    number"""

    def within(self, tolerance: float) -> bool:
        """Whether no output differs by more."""
        return all(difference <= tolerance for difference in self.differences.values())


def compare(data: str, reference: Mapping[str, Array], derived: Mapping[str, Array]) -> Comparison:
    """The outputs of a derived run beside those of the reference, which `derived` must all have."""
    return Comparison(
        data,
        {
            name: difference(value, derived[name]) if name in derived else np.inf
            for name, value in reference.items()
        },
    )


def difference(reference: Array, derived: Array) -> float:
    """The largest absolute difference of two tensors of the same shape and dtype; infinite for others."""
    if reference.shape != derived.shape or reference.dtype != derived.dtype:
        return float("inf")
    if not reference.size:
        return 0.0
    found = float(np.abs(reference.astype(np.float64) - derived.astype(np.float64)).max())
    return found if np.isfinite(found) else float("inf")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the making of an artefact found out."""

    claim: str
    """what is compared with what"""
    tolerance: float = 0.0
    """largest absolute difference that passes"""
    comparisons: tuple[Comparison, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    """name with its unit → value: speed, size …"""
    objection: str = ""
    """why there is no such artefact at all"""

    @property
    def fault(self) -> str:
        """Why the artefact may not be used; "" = it may."""
        if self.objection:
            return self.objection
        if not self.comparisons:
            return "nothing was compared"
        wrong = [c for c in self.comparisons if not c.within(self.tolerance)]
        worst = [f"{c.data}: {name} {d:.2g}" for c in wrong for name, d in c.differences.items()]
        return f"differs by more than {self.tolerance:g} ({'; '.join(worst)})" if wrong else ""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a proof holds for."""

    source: str
    """sha256 of the model that the artefact is derived from"""
    recipe: str
    """how it is derived: a name and a version"""
    engine: str
    """with its version and what really computes"""
    device: str
    """the kind of processor: architecture and instruction sets"""


@dataclass(frozen=True, slots=True)
class Proof:
    """Of one artefact."""

    kind: Kind
    bindings: Bindings
    derived: Mapping[str, str]
    """file of the artefact → sha256; empty where it is a way to run the source (a batch)"""
    evidence: Evidence
    date: str
    """UTC"""

    @property
    def holds(self) -> bool:
        return not self.evidence.fault

    def to_json(self) -> str:
        """For a person: the verdict first."""
        verdict = {"verdict": "proven" if self.holds else f"not proven: {self.evidence.fault}"}
        return json.dumps(verdict | asdict(self), indent=2, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Proof | None:
        """None for what is no proof. The verdict is never read, it follows from the figures."""
        try:
            tree = cast(dict[str, Any], json.loads(text))
            evidence = tree["evidence"]
            comparisons = tuple(
                Comparison(str(c["data"]), {str(k): float(v) for k, v in c["differences"].items()})
                for c in evidence["comparisons"]
            )
            return Proof(
                tree["kind"],
                Bindings(**tree["bindings"]),
                {str(name): str(digest) for name, digest in tree["derived"].items()},
                Evidence(**evidence | {"comparisons": comparisons}),
                str(tree["date"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
