"""What shows that a derived artefact computes what its source does: comparison, verdict, bindings.

A proof holds for the bytes, the engine and the kind of machine that it names, and for nothing else. It is
kept as JSON beside the artefact, to be read by a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NewType, cast

import numpy as np

from sonorant.networks.signature import Array

Kind = Literal["cut", "batch", "export", "prepared"]
Outcome = Literal["passed", "failed", "not measured"]
Note = NewType("Note", str)
"""a sentence for a person, in English (`sonorant.locale` has the Chinese)"""

EXACT = 70.0
"""decibels: an artefact that is no nearer to its source must show that nobody hears it (`Quality`). Another
order of the same float32 sums stays above 90"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same data."""

    data: str
    """what was fed, in words"""
    differences: Mapping[str, float]
    """output → the largest absolute difference; infinite where shape or dtype differ, or where one is not a
    number"""
    snr: Mapping[str, float] = field(default_factory=dict)
    """output → signal-to-noise ratio, dB: the reference's power, or its usual power where that is more, to
    that of the difference"""
    cosine: Mapping[str, float] = field(default_factory=dict)
    """output → cosine similarity, 1 = the same direction"""
    extreme: bool = False
    """no such input comes from speech: what is computed from it need only be finite and of the right shape"""

    def within(self, tolerance: float) -> bool:
        """Whether no output differs by more."""
        return all(difference <= tolerance for difference in self.differences.values())

    def close(self, least: float) -> bool:
        """Whether every output is within `least` dB, or finite and of the right shape where it is extreme."""
        if self.extreme:
            return all(np.isfinite(difference) for difference in self.differences.values())
        return bool(self.snr) and all(snr >= least for snr in self.snr.values())


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
class Finding:
    """A figure that is beyond its bound."""

    figure: str
    value: float
    bound: float
    unit: str
    interval: tuple[float, float] | None = None
    """the middle 95% of a bootstrap over the items; None = there is no sampling in it"""
    worst: int | None = None
    """the item that shows it most, the first is 0"""
    means: Mapping[str, str] = field(default_factory=dict)
    """language → what it usually means"""
    mends: tuple[Mapping[str, str], ...] = ()
    """language → what mends it, the likeliest first"""

    @staticmethod
    def of(tree: Mapping[str, Any]) -> Finding:
        """From what `asdict` makes of one, as JSON keeps it."""
        interval = tuple(tree["interval"]) if tree["interval"] else None
        return Finding(**{**tree, "interval": interval, "mends": tuple(tree["mends"])})


@dataclass(frozen=True, slots=True)
class Quality:
    """What a listener or reader would notice, measured on real speech, and what the gate says of it."""

    figures: Mapping[str, float]
    """larger is worse, 0 is no change"""
    failed: tuple[Finding, ...] = ()
    """the one that is furthest beyond its bound first"""
    allowed: str = ""
    """the precision whose wider bounds an operator chose; "" = none"""
    bounds: Mapping[str, float] = field(default_factory=dict)
    """figure → the bound that it was held to"""
    unmeasured: Mapping[str, Note] = field(default_factory=dict)
    """figure → why it is missing"""
    excused: tuple[Finding, ...] = ()
    """beyond the usual bounds, within the wider ones of `allowed`"""
    wider: str = ""
    """the precision whose wider bounds it would pass by, where it fails; "" = none"""

    @property
    def outcome(self) -> Outcome:
        """What is missing does not pass."""
        if self.failed:
            return "failed"
        return "not measured" if self.unmeasured or not self.figures else "passed"

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @staticmethod
    def of(tree: Mapping[str, Any]) -> Quality:
        """From what `asdict` makes of one, as JSON keeps it."""
        found = {name: tuple(map(Finding.of, tree.get(name, ()))) for name in ("failed", "excused")}
        return Quality(**{**tree, "figures": _numbers(tree["figures"]), **found})


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
    unchanged: bool = False
    """the objection is that there is nothing to change, which is no fault of anything"""
    least_snr: float | None = None
    """dB that every output must reach; None = `tolerance` is what passes"""
    quality: Quality | None = None
    """None = not measured"""
    notes: tuple[Note, ...] = ()
    """what was done on the way, for a person: what stayed in float32, and why"""
    asked: str = ""
    """what was asked for when it was made, beside the recipe: a digest of sizes, recordings, texts; "" = the
    usual"""
    partial: bool = False
    """only what it was meant to keep was compared, such as the tokens that stay: it must be judged, too"""

    @property
    def fault(self) -> str:
        """Why the artefact may not be used; "" = it may."""
        if self.objection:
            return self.objection
        if not self.comparisons:
            return Note("nothing was compared")
        if self.least_snr is not None:
            return _too_far(self.comparisons, self.least_snr)
        wrong = [c for c in self.comparisons if not c.within(self.tolerance)]
        worst = [f"{c.data}: {name} {d:.2g}" for c in wrong for name, d in c.differences.items()]
        return Note(f"differs by more than {self.tolerance:g} ({'; '.join(worst)})") if wrong else ""

    @property
    def heard(self) -> Outcome:
        """What the gate says of its quality."""
        return self.quality.outcome if self.quality else "not measured"

    @property
    def exact(self) -> bool:
        """Whether no difference can be heard or read, so that quality need not be measured."""
        return bool(self.comparisons and not self.partial) and all(
            c.close(EXACT) and all(snr >= EXACT for snr in c.snr.values()) for c in self.comparisons
        )

    @property
    def worst(self) -> float:
        """dB of the output that differs most, of what speech can bring about."""
        found = [snr for c in self.comparisons if not c.extreme for snr in c.snr.values()]
        return min(found, default=float("-inf"))


def _too_far(comparisons: tuple[Comparison, ...], least: float) -> str:
    wrong = [c for c in comparisons if not c.close(least)]
    worst = [
        f"{c.data}: {name} {snr:.1f} dB"
        for c in wrong
        for name, snr in c.snr.items()
        if snr < least or c.extreme
    ]
    told = worst[:3] + ([f"and {len(worst) - 3} more"] if len(worst) > 3 else [])
    return Note(f"is less than {least:g} dB like its source ({'; '.join(told)})") if wrong else ""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a proof holds for."""

    source: str
    """sha256 of the model that the artefact is derived from, with its weights in other files"""
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

    @property
    def served(self) -> bool:
        """Whether it may stand for its source: exactly like it, or nobody notices the difference."""
        if not self.holds:
            return False
        if self.evidence.least_snr is None or self.evidence.exact:
            return True
        return self.evidence.heard == "passed"

    def to_json(self) -> str:
        """For a person: the verdict first."""
        verdict = {"verdict": "proven" if self.holds else f"not proven: {self.evidence.fault}"}
        if self.holds and not self.served:
            verdict["quality"] = "not good enough" if self.evidence.heard == "failed" else "not measured"
        return json.dumps(verdict | _said(asdict(self)), indent=2, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Proof | None:
        """None for what is no proof. The verdict is never read, it follows from the figures."""
        try:
            tree = cast(dict[str, Any], json.loads(text))
            evidence = tree["evidence"]
            comparisons = tuple(
                Comparison(
                    str(c["data"]),
                    _numbers(c["differences"]),
                    _numbers(c.get("snr", {})),
                    _numbers(c.get("cosine", {})),
                    bool(c.get("extreme", False)),
                )
                for c in evidence["comparisons"]
            )
            quality = evidence.get("quality")
            if quality is not None:  # sentences are an older version's: it is to be measured again
                old = any(isinstance(each, str) for each in quality["failed"])
                quality = None if old else Quality.of(quality)
            read = {"comparisons": comparisons, "quality": quality, "notes": tuple(evidence.get("notes", ()))}
            return Proof(
                tree["kind"],
                Bindings(**tree["bindings"]),
                {str(name): str(digest) for name, digest in tree["derived"].items()},
                Evidence(**evidence | read),
                str(tree["date"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            return None


def _numbers(tree: Mapping[Any, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in tree.items()}


_OPTIONAL = {"snr", "cosine", "extreme", "least_snr", "quality", "notes", "allowed"} | {
    "bounds", "unmeasured", "excused", "wider", "unchanged", "partial", "asked",
}  # fmt: skip
"""fields that are left out where they say nothing"""


def _said(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _said(v) for k, v in tree.items() if k not in _OPTIONAL or v}
    return [_said(each) for each in tree] if isinstance(tree, list | tuple) else tree
