"""Cutting a network whose end is a convolutional vocoder, so that the end can run in windows.

The graph is read backwards from the output through operators that are local in time. What upsamples is one
stage; what leads to it at the rate of frames, such as the flow of VITS, is another where it is worth it; the
rest, which mixes all time, is the front and runs once. Each stage is exact with its receptive field as
context on both sides. Inside a stage the context is cropped where it is no longer needed: the wide one of the
first layers would otherwise be carried through the costly last ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sonorant.networks.locality import HEAVY, Demand, Graph, attributes, needed

WORTH = 0.05
"""a stage at the rate of frames with less than this share of the multiplications stays in the front"""
WIDEST = 64
"""frames of context on one side of a stage: with more the first window would be late"""
SAVED = 0.5
"""a crop spares the layers behind it at least as much as this many frames of the whole stage"""
_FAR = 1 << 20
"""a frame far from both ends"""


class Uncut(Exception):
    """There is no exact cut; the message says why."""


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that enters a stage."""

    name: str
    axis: int
    """of time"""
    steps: int
    """per frame; 0 = the tensor is the same at all times and fed whole"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a network that can run in windows of frames."""

    inputs: tuple[Input, ...]
    output: str
    axis: int
    steps: int
    """of the output per frame"""
    context: tuple[int, int]
    """frames before and after a window that its output needs"""
    crops: tuple[tuple[int, int], ...] = ()
    """frames of context that are left at each crop"""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place in the list of nodes: what lies behind it is local in time, and needs these tensors."""

    at: int
    open: Mapping[str, Demand]
    fixed: frozenset[str]

    def context(self, hop: Fraction) -> tuple[int, int]:
        """Frames before and after frame _FAR."""
        before = after = 0
        for demand in self.open.values():
            steps = hop / demand.scale
            before = max(before, _FAR - math.floor(demand.low / steps))
            after = max(after, math.ceil(demand.high / steps) - _FAR - 1)
        return before, after

    def divides(self, hop: Fraction) -> bool:
        """Whether all its tensors consist of whole frames."""
        return bool(self.open) and all(
            d.excess == 0 and (hop / d.scale).denominator == 1 for d in self.open.values()
        )


def find(graph: Graph, output: str) -> list[tuple[Stage, list[Boundary]]]:
    """One or two stages, in the order in which they run, each with where it is cropped. Raises Uncut."""
    shape = graph.shape(output)
    if not shape:
        raise Uncut(f"the shape of {output} is not known")
    axis, rank = len(shape) - 1, len(shape)
    upsampling = _upsampling(graph, [output])
    if not upsampling:
        raise Uncut("no convolution of the network upsamples, so its end is no vocoder")
    probe = _read(graph, output, axis, rank, Fraction(1))
    for name in sorted(probe[-1].open.keys() | probe[-1].fixed if probe else {output}):
        if _upsampling(graph, [name]):
            node = graph.producers[name]
            raise Uncut(f"{node.op_type} {node.name or name} mixes all times behind an upsampling")
    hop = max(demand.scale for b in probe if b.at == min(upsampling) for demand in b.open.values())
    if hop.denominator > 1:
        raise Uncut(f"a frame is no whole number of samples, but {float(hop):g}")
    boundaries = _read(graph, output, axis, rank, hop)
    last = next((b for b in boundaries if b.at <= min(upsampling) and b.divides(hop)), None)
    if last is None:
        raise Uncut("what enters the upsampling does not consist of whole frames")
    vocoder = _stage(graph, output, axis, last, boundaries, hop)
    if len(last.open) != 1:
        return [vocoder]
    [(name, demand)] = last.open.items()
    before = _read(graph, name, demand.axis, demand.rank, Fraction(1))
    start = _frame_start(graph, before)
    if start is None or max(start.context(Fraction(1))) > WIDEST:
        return [vocoder]
    work = _work(graph, before, Fraction(1))
    if work < WORTH * (work + _work(graph, boundaries[: boundaries.index(last) + 1], hop)):
        return [vocoder]
    return [_stage(graph, name, demand.axis, start, before, Fraction(1)), vocoder]


def _stage(
    graph: Graph, output: str, axis: int, start: Boundary, boundaries: Sequence[Boundary], hop: Fraction
) -> tuple[Stage, list[Boundary]]:
    """The stage from `start` to `output`, and its crops: for each context the earliest narrow place."""
    context = start.context(hop)
    narrow: dict[tuple[int, int], int] = {}
    inside = [boundary for boundary in boundaries if boundary.at >= start.at]
    for i, boundary in enumerate(inside):  # from the output backwards
        if len(boundary.open) <= len(start.open) and boundary.divides(hop):
            narrow[boundary.context(hop)] = i
    crops: list[tuple[tuple[int, int], Boundary]] = []
    left, work = context, _work(graph, inside, hop)
    for found, i in sorted(narrow.items(), key=lambda item: item[1], reverse=True):
        saved = (sum(left) - sum(found)) * _work(graph, inside[: i + 1], hop)
        if saved >= SAVED * work and work and found[0] <= left[0] and found[1] <= left[1]:
            crops.append((found, inside[i]))
            left = found
    inputs = [Input(name, d.axis, int(hop / d.scale)) for name, d in start.open.items()]
    inputs += [Input(name, 0, 0) for name in sorted(start.fixed)]
    stage = Stage(tuple(inputs), output, axis, int(hop), context, tuple(found for found, _ in crops))
    return stage, [boundary for _, boundary in crops]


def _read(graph: Graph, output: str, axis: int, rank: int, hop: Fraction) -> list[Boundary]:
    """Every place from the output backwards, as far as it is local, for the output of frame _FAR."""
    low = int(_FAR * hop)
    open_ = {output: Demand(axis, rank, low, low + int(hop), Fraction(1), Fraction(0))}
    fixed: set[str] = set()
    found: list[Boundary] = []
    for at in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[at]
        demands = [open_[name] for name in node.output if name in open_]
        demand = _joined(demands)
        inputs = None if demand is None else needed(node, demand, graph)
        if inputs is None:
            continue
        rest = {name: d for name, d in open_.items() if name not in node.output}
        for name, wanted in inputs.items():
            if graph.is_fixed(name, wanted):
                fixed.add(name)
                continue
            both = rest[name].joined(wanted) if name in rest else wanted
            if both is None:
                return found
            rest[name] = both
        open_ = rest
        found.append(Boundary(at, dict(open_), frozenset(fixed)))
    return found


def _joined(demands: Sequence[Demand]) -> Demand | None:
    joined: Demand | None = demands[0] if demands else None
    for demand in demands[1:]:
        joined = joined and joined.joined(demand)
    return joined


def _frame_start(graph: Graph, boundaries: Sequence[Boundary]) -> Boundary | None:
    """Where the stage at the rate of frames begins: before its first layer, with as few tensors as can be."""
    heavy = [i for i, b in enumerate(boundaries) if graph.nodes[b.at].op_type in HEAVY]
    if not heavy:
        return None
    eligible = [
        b
        for b in boundaries[heavy[-1] :]
        if b.divides(Fraction(1)) and all(d.scale == 1 for d in b.open.values())
    ]
    return min(eligible, key=lambda b: (len(b.open), -b.at), default=None)


def _upsampling(graph: Graph, outputs: Iterable[str]) -> set[int]:
    """The places of the transposed convolutions, of longer steps than one, that `outputs` depend on."""
    return {
        i
        for i in graph.ancestors(outputs)
        if graph.nodes[i].op_type == "ConvTranspose"
        and max(attributes(graph.nodes[i]).get("strides") or [1]) > 1
    }


def _work(graph: Graph, boundaries: Sequence[Boundary], hop: Fraction) -> Fraction:
    """Multiplications a frame."""
    total = Fraction(0)
    for boundary in boundaries:
        node = graph.nodes[boundary.at]
        if node.op_type in HEAVY and node.input[1] in graph.weights and node.input[0] in boundary.open:
            steps = hop / boundary.open[node.input[0]].scale
            stride = max(attributes(node).get("strides") or [1]) if node.op_type == "Conv" else 1
            total += steps / stride * math.prod(graph.weights[node.input[1]].dims)
    return total
