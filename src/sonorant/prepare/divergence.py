"""The first layer at which a derived network parts from its source: what has to be mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import EngineError, ModelFileError
from sonorant.networks.proof import Note
from sonorant.networks.signature import Array
from sonorant.prepare.parity import Case, decibels, engine_on
from sonorant.prepare.passes.kind import showing
from sonorant.prepare.pruned import Pruned, pruned
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto

AT_A_TIME = 64
"""tensors that are made outputs in one run: all of a long network's would not fit into memory"""
_AS_WRITTEN = {"graph_optimization_level": "ORT_DISABLE_ALL"}
"""so that no layer is fused away"""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A layer whose output is further from the source's than it may be."""

    tensor: str
    node: str
    op: str
    snr: float
    """dB; minus infinity where it is not finite, or has another shape"""

    @property
    def note(self) -> Note:
        """In words."""
        layer = f"{self.op} {self.node or self.tensor}"
        if self.snr == -np.inf:
            return Note(f"{layer} is not finite or has another shape")
        return Note(f"{layer} has {self.snr:.1f} dB")


def first(
    subject: Subject, source: ModelProto, derived: ModelProto, case: Case, least: float, device: str = "cpu"
) -> Divergence | None:
    """The first of the layers that both have, in the order of the source, with less than `least` dB.

    None where there is none, or where no tensor inside is known in both by the same name. What a network that
    was pruned has less of is not compared: it lacks channels on purpose.
    """
    cut = pruned(derived) != Pruned()
    names = {name for node in derived.graph.node for name in node.output}
    shared = [
        (node, name)
        for node in source.graph.node
        for name in node.output
        if name in names and not node.op_type.startswith(("Sequence", "Optional", "If", "Loop"))
    ]
    as_written = Subject(
        subject.name, subject.path, subject.signature, options={**subject.options, **_AS_WRITTEN}
    )
    for start in range(0, len(shared), AT_A_TIME):
        part = shared[start : start + AT_A_TIME]
        wanted = [name for _, name in part]
        try:
            a, b = (inside(as_written, model, case, wanted, device) for model in (source, derived))
        except (EngineError, ModelFileError):
            return None  # it does not even run: the error says where
        for node, name in part:
            if name in a and name in b and (snr := _apart(a[name], b[name], cut)) < least:
                return Divergence(name, node.name, node.op_type, snr)
    return None


def inside(
    subject: Subject, model: ModelProto, case: Case, wanted: Iterable[str], device: str
) -> dict[str, Array]:
    """The values of tensors inside the graph, and of its outputs."""
    engine = engine_on(subject, showing(model, wanted), device)
    return engine.prepare(case.feeds, large=True)()


def _apart(value: Array, derived: Array, cut: bool) -> float:
    if (
        cut
        and value.dtype.kind == "f"
        and value.shape != derived.shape
        and _within(derived.shape, value.shape)
    ):
        return np.inf if np.isfinite(derived).all() else -np.inf
    if value.shape != derived.shape or value.dtype.kind not in "fiub":
        return -np.inf if value.shape != derived.shape else np.inf
    if not np.isfinite(value).all():
        return np.inf  # nothing can be said of it
    return decibels(value, derived) if np.isfinite(derived).all() else -np.inf


def _within(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(shape) == len(other) and all(a <= b for a, b in zip(shape, other, strict=True))
