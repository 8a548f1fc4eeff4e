"""Which layers must stay as they are, so that a pass keeps what the network computes: found by measuring."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sonorant.networks.proof import Note
from sonorant.prepare import divergence
from sonorant.prepare.layers import MARGIN, Bench, Search, Version, chosen, told
from sonorant.prepare.parity import Reference
from sonorant.prepare.passes.kind import Material, Pass, copied, named, touched
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ATTEMPTS = 8
"""versions of a pass that are tried"""
SENSITIVE = frozenset(
    {
        "LayerNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization",
        "SimplifiedLayerNormalization", "Softmax", "LogSoftmax", "Exp", "Log", "Pow", "Sqrt", "Reciprocal",
        "ReduceMean", "ReduceSum", "ReduceL2", "CumSum", "Sin", "Cos", "Tan", "Div", "Ceil", "Floor", "Round",
    }
)  # fmt: skip
"""operators of which all stay in float32 when one of them is where outputs part: sums of many values,
quotients, and the sine source of vocoders, whose phase grows without bound"""


class Unmended(Exception):
    """No version of the pass keeps what the network computes; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A pass that was applied, and what had to be left out for it."""

    model: ModelProto
    kept: frozenset[str]
    notes: tuple[Note, ...]


def applied(
    each: Pass,
    model: ModelProto,
    feeds: Material,
    subject: Subject,
    bench: Bench[ModelProto],
    search: Search,
    device: str = "cpu",
) -> Mended:
    """The pass on `model`, less what its proof cannot bear. Raises Unmended, and what the pass raises.

    `search`: what is known of the layers, and what is found out.
    """
    for change in each.first:
        model = named(change(model, feeds))
    seen = each.look(model, feeds) if each.look else None
    fixed = _deciding_lengths(model) if each.mending else frozenset[str]()
    notes = (Note(f"{len(fixed)} nodes decide how long outputs are, and stay in float32"),) if fixed else ()

    def version(kept: frozenset[str]) -> ModelProto:
        return each.apply(copied(model), replace(feeds, kept=kept | fixed, seen=seen))

    if each.mending == "sensitivity":
        nodes = [node for node in touched(model, each.touches) if node.name not in fixed]
        work = multiplications(model, nodes, subject, bench.reference, device)
        kept, why = searched(each.name, work, version, bench, search)
        return Mended(version(kept), kept | fixed, (*notes, *why))
    made = version(frozenset())
    began = bench.snr(made)
    if not each.mending or began >= each.least_snr + MARGIN:
        return Mended(made, fixed, notes)
    for kept, why in _by_divergence(each, model, made, version, subject, bench, device):
        made = version(kept)
        if bench.snr(made) >= each.least_snr + MARGIN:
            return Mended(made, kept | fixed, (*notes, *why, _staying(len(kept))))
    raise _unmended(began)


def searched(
    name: str,
    work: Mapping[str, float],
    version: Callable[[frozenset[str]], Version],
    bench: Bench[Version],
    search: Search,
) -> tuple[frozenset[str], tuple[Note, ...]]:
    """Which layers stay in float32, and why. Raises Unmended.

    `name`: of what changes the others, under which `search` keeps what is known.
    """
    found = chosen(work, version, bench, search.layers.get(name), search.failed)
    if work and not found.changed:
        raise _unmended(bench.snr(version(frozenset())))
    search.layers[name] = found
    kept = frozenset(work) - set(found.changed)
    return kept, (*told(found), *([_staying(len(kept))] if kept else []))


def _staying(nodes: int) -> Note:
    return Note(f"{nodes} nodes stay in float32")


def _unmended(began: float) -> Unmended:
    how = (
        f"is {began:.1f} dB like its source"
        if math.isfinite(began)
        else "gives another length, or no numbers"
    )
    return Unmended(
        f"with all layers changed it {how}, and no choice of layers that stay in float32 mends it"
    )


def _by_divergence(
    each: Pass,
    model: ModelProto,
    made: ModelProto,
    version: Callable[[frozenset[str]], ModelProto],
    subject: Subject,
    bench: Bench[ModelProto],
    device: str,
) -> Iterator[tuple[frozenset[str], tuple[Note, ...]]]:
    """Keep the first layer that parts, and all of its kind where that kind is known to be sensitive."""
    kept: frozenset[str] = frozenset()
    why: tuple[Note, ...] = ()
    for _ in range(ATTEMPTS):
        found = divergence.first(subject, model, made, bench.reference.usual, each.least_snr + MARGIN, device)
        if found is None:
            return
        alike = {n.name for n in model.graph.node if n.op_type == found.op and n.op_type in SENSITIVE}
        near = {n.name for n in model.graph.node if found.tensor in n.output} | alike
        if near <= kept:  # its inputs are what moved it: keep what makes them, too
            makers = {name for n in model.graph.node if n.name in kept for name in n.input}
            near = {n.name for n in model.graph.node if makers & set(n.output)}
        if near <= kept:
            return
        kept, why = kept | near, (*why, found.note)
        yield kept, why
        made = version(kept)


def multiplications(
    model: ModelProto, nodes: Sequence[NodeProto], subject: Subject, reference: Reference, device: str
) -> dict[str, float]:
    """Node → multiplications of a usual run: how often each of its weights is used, times their number."""
    sizes = {weight.name: math.prod(weight.dims) for weight in model.graph.initializer}
    names = [node.output[0] for node in nodes]
    given = divergence.inside(subject, model, reference.usual, names, device)
    work = {}
    for node in nodes:
        value = given[node.output[0]]
        channels = (
            value.shape[1 if node.op_type.startswith("Conv") else -1] if value.size and value.ndim else 1
        )
        weight = max((sizes[name] for name in node.input if name in sizes), default=channels)
        work[node.name] = max(1.0, weight * value.size / channels)  # of what came to nothing, too
    return work


def _deciding_lengths(model: ModelProto) -> frozenset[str]:
    """The nodes on which a rounding to whole numbers depends.

    Such are the durations of a voice's phonemes: one that is rounded the other way moves all that follows it,
    and two sounds of other lengths cannot be compared.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    reached: dict[str, NodeProto] = {}
    waiting = [node for node in model.graph.node if node.op_type in ("Round", "Ceil")]
    while waiting:
        node = waiting.pop()
        if node.name not in reached:
            reached[node.name] = node
            waiting += [makers[name] for name in node.input if name in makers]
    return frozenset(reached)
