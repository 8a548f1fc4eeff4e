"""Which layers must stay as they are, so that a pass keeps what the network computes: found by measuring."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sonorant.errors import SonorantError
from sonorant.networks.proof import Comparison
from sonorant.prepare import divergence
from sonorant.prepare.parity import Reference, compared
from sonorant.prepare.passes.kind import Material, Pass, touched
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ATTEMPTS = 8
"""versions of a pass that are tried"""
MEASURED = 64
"""layers that are measured one by one, those with the largest weights"""
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

    def worst(self, model: ModelProto) -> float:
        """dB of a version; minus infinity where it does not run."""
        try:
            found = compared(self.subject, self.reference, model, self.device, briefly=True)
        except SonorantError:
            return float("-inf")
        return _worst(found)


def applied(each: Pass, model: ModelProto, feeds: Material, bench: Bench) -> Mended:
    """The pass on `model`, less what its proof cannot bear. Raises Unmended, and what the pass raises."""

    fixed = _deciding_lengths(model) if each.mending else frozenset[str]()
    fixed_note = (f"{len(fixed)} nodes decide how long outputs are, and stay in float32",) if fixed else ()

    def version(kept: frozenset[str]) -> ModelProto:
        return each.apply(_copy(model), Material(feeds.feeds, kept | fixed))

    made = version(frozenset())
    began = bench.worst(made)
    if not each.mending or began >= each.least_snr + MARGIN:
        return Mended(made, fixed, fixed_note)
    tried = _by_divergence if each.mending == "divergence" else _by_sensitivity
    for kept, why in tried(each, model, made, version, bench):
        made = version(kept)
        found = bench.worst(made)
        if found >= each.least_snr + MARGIN:
            return Mended(made, kept | fixed, (*fixed_note, *why, f"{len(kept)} nodes stay in float32"))
    how = f"{began:.1f} dB" if math.isfinite(began) else "an output of another length, or not finite"
    raise Unmended(f"{each.name}: {how}, and no choice of layers that stay in float32 mends it")


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
    bench: Bench,
) -> Iterator[tuple[frozenset[str], tuple[str, ...]]]:
    """Change one layer at a time; then keep the worst until what the rest adds up to is little enough.

    Errors of layers are as good as independent, so that their powers add.
    """
    fixed = _deciding_lengths(model)
    nodes = [node.name for node in touched(model, each.touches) if node.name not in fixed]
    if not nodes:
        return
    noise: dict[str, float] = {}
    until = time.monotonic() + bench.seconds
    for name in nodes[:MEASURED]:
        if time.monotonic() > until:
            break
        alone = bench.worst(version(frozenset(nodes) - {name}))
        noise[name] = 10 ** (-alone / 10)
    unmeasured = frozenset(nodes) - noise.keys()
    ordered = sorted(noise, key=lambda name: noise[name])
    allowed = 10 ** (-(each.least_snr + MARGIN) / 10)
    for attempt in range(ATTEMPTS):
        changed, total = set[str](), 0.0
        for name in ordered:
            if total + noise[name] > allowed / 2**attempt:
                break
            changed.add(name)
            total += noise[name]
        if not changed:
            return
        kept = frozenset(ordered) - changed | unmeasured
        worst = [f"{name} alone costs {_decibels(noise[name]):.1f} dB" for name in ordered[::-1][:3]]
        yield kept, (f"{len(changed)} of {len(nodes)} layers changed", *worst)


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


def _decibels(noise: float) -> float:
    return -10 * math.log10(noise) if 0 < noise < math.inf else (math.inf if noise == 0 else -math.inf)


def _worst(comparisons: tuple[Comparison, ...]) -> float:
    found = [snr for c in comparisons if not c.extreme for snr in c.snr.values()]
    return min(found, default=float("-inf"))


def _copy(model: ModelProto) -> ModelProto:
    copied = type(model)()
    copied.CopyFrom(model)
    return copied
