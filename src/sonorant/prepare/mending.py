"""Which layers must stay as they are, so that a pass keeps what the network computes: found by measuring."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sonorant.errors import SonorantError
from sonorant.networks.proof import Comparison
from sonorant.prepare import divergence
from sonorant.prepare.hearing import Piece
from sonorant.prepare.parity import Reference, compared, engine_on
from sonorant.prepare.passes.kind import Material, Pass, named, touched
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ATTEMPTS = 8
"""versions of a pass that are tried"""
MARGIN = 1.5
"""dB better than it must be, as what is measured briefly is not all that is compared"""
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
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """What versions of a pass are tried on."""

    subject: Subject
    reference: Reference
    device: str
    seconds: float
    """for which layers are measured"""
    allow: str = ""
    """the precision to which the operator allows wider bounds"""
    pieces: tuple[Piece, ...] = ()
    """of sound, where the network gives it"""

    def worst(self, model: ModelProto) -> float:
        """dB of a version; minus infinity where it does not run."""
        try:
            found = compared(self.subject, self.reference, model, self.device, briefly=True)
        except SonorantError:
            return float("-inf")
        return _worst(found)

    def excess(self, model: ModelProto, least_snr: float, pieces: Sequence[Piece] = ()) -> float:
        """How far a version is from the source, 1 = as far as it may: by decibels, and by what is heard of
        pieces of sound. Errors of layers are as good as independent, so that the squares of this add."""
        worst = self.worst(model)
        if worst == float("-inf"):
            return math.inf
        apart = 10 ** ((least_snr + MARGIN - worst) / 20)
        return max([apart, *self.heard(model, pieces)])

    def heard(self, model: ModelProto, pieces: Sequence[Piece]) -> list[float]:
        """The same of each piece of sound alone."""
        if not pieces:
            return []
        engine = engine_on(self.subject, model, self.device)
        try:
            return [piece.excess(engine, self.allow) for piece in pieces]
        finally:
            engine.close()


def applied(each: Pass, model: ModelProto, feeds: Material, bench: Bench) -> Mended:
    """The pass on `model`, less what its proof cannot bear. Raises Unmended, and what the pass raises."""
    for change in each.first:
        model = named(change(model, feeds))
    seen = each.look(model, feeds) if each.look else None
    fixed = _deciding_lengths(model) if each.mending else frozenset[str]()
    notes = (f"{len(fixed)} nodes decide how long outputs are, and stay in float32",) if fixed else ()

    def version(kept: frozenset[str]) -> ModelProto:
        return each.apply(_copy(model), Material(feeds.feeds, kept | fixed, seen))

    made = version(frozenset())
    if each.mending == "sensitivity":
        found = _by_sensitivity(each, model, made, version, fixed, bench)
        return Mended(found.model, found.kept | fixed, (*notes, *found.notes))
    began = bench.worst(made)
    if not each.mending or began >= each.least_snr + MARGIN:
        return Mended(made, fixed, notes)
    for kept, why in _by_divergence(each, model, made, version, bench):
        made = version(kept)
        if bench.worst(made) >= each.least_snr + MARGIN:
            return Mended(made, kept | fixed, (*notes, *why, f"{len(kept)} nodes stay in float32"))
    raise _unmended(each, began)


def _unmended(each: Pass, began: float) -> Unmended:
    how = f"{began:.1f} dB" if math.isfinite(began) else "an output of another length, or not finite"
    return Unmended(f"{each.name}: {how}, and no choice of layers that stay in float32 mends it")


def _by_divergence(
    each: Pass,
    model: ModelProto,
    made: ModelProto,
    version: Callable[[frozenset[str]], ModelProto],
    bench: Bench,
) -> Iterator[tuple[frozenset[str], tuple[str, ...]]]:
    """Keep the first layer that parts, and all of its kind where that kind is known to be sensitive."""
    kept: frozenset[str] = frozenset()
    why: tuple[str, ...] = ()
    for _ in range(ATTEMPTS):
        found = divergence.first(
            bench.subject, model, made, bench.reference.usual, each.least_snr + MARGIN, bench.device
        )
        if found is None:
            return
        alike = {n.name for n in model.graph.node if n.op_type == found.op and n.op_type in SENSITIVE}
        near = {n.name for n in model.graph.node if found.tensor in n.output} | alike
        if near <= kept:  # its inputs are what moved it: keep what makes them, too
            makers = {name for n in model.graph.node if n.name in kept for name in n.input}
            near = {n.name for n in model.graph.node if makers & set(n.output)}
        if near <= kept:
            return
        kept, why = kept | near, (*why, str(found))
        yield kept, why
        made = version(kept)


def _by_sensitivity(
    each: Pass,
    model: ModelProto,
    made: ModelProto,
    version: Callable[[frozenset[str]], ModelProto],
    fixed: frozenset[str],
    bench: Bench,
) -> Mended:
    """Change one layer at a time; then as many as the proof bears, those first that save most for their harm.

    Raises Unmended where it bears none.
    """
    if bench.excess(made, each.least_snr, bench.pieces) <= 1:
        return Mended(made, frozenset(), ())
    harmed = bench.heard(made, bench.pieces)
    worst_piece = bench.pieces[harmed.index(max(harmed)) :][:1] if harmed else ()
    work = _work(model, [node for node in touched(model, each.touches) if node.name not in fixed], bench)
    every = frozenset(work)
    harm: dict[str, float] = {}
    until = time.monotonic() + bench.seconds
    for name in sorted(work, key=lambda name: -work[name]):
        if time.monotonic() > until:
            break
        harm[name] = bench.excess(version(every - {name}), each.least_snr, worst_piece) ** 2
    ordered = sorted(harm, key=lambda name: harm[name] / work[name])
    good, bad = 0, len(ordered) + 1
    best: ModelProto | None = None
    while bad - good > 1 and (middle := (good + bad) // 2):
        tried = version(every - set(ordered[:middle]))
        if bench.excess(tried, each.least_snr, bench.pieces) <= 1:
            good, best = middle, tried
        else:
            bad = middle
    if best is None:
        raise _unmended(each, bench.worst(made))
    share = sum(work[name] for name in ordered[:good]) / sum(work.values())
    worst = [
        f"{name} alone takes {100 * harm[name] ** 0.5:.0f}% of what is allowed" for name in ordered[:-4:-1]
    ]
    kept = every - set(ordered[:good])
    notes = (
        f"{good} of {len(work)} layers changed, which have {100 * share:.0f}% of the multiplications",
        *worst,
        f"{len(kept)} nodes stay in float32",
    )
    return Mended(best, kept, notes)


def _work(model: ModelProto, nodes: Sequence[NodeProto], bench: Bench) -> dict[str, float]:
    """Node → multiplications of a usual run: how often each of its weights is used, times their number."""
    sizes = {weight.name: math.prod(weight.dims) for weight in model.graph.initializer}
    names = [node.output[0] for node in nodes]
    given = divergence.inside(bench.subject, model, bench.reference.usual, names, bench.device)
    work = {}
    for node in nodes:
        value = given[node.output[0]]
        channels = value.shape[1 if node.op_type.startswith("Conv") else -1]
        weight = max((sizes[name] for name in node.input if name in sizes), default=channels)
        work[node.name] = float(weight * value.size / channels)
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


def _worst(comparisons: tuple[Comparison, ...]) -> float:
    found = [snr for c in comparisons if not c.extreme for snr in c.snr.values()]
    return min(found, default=float("-inf"))


def _copy(model: ModelProto) -> ModelProto:
    copied = type(model)()
    copied.CopyFrom(model)
    return copied
