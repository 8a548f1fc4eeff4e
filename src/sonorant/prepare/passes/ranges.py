"""Which values tensors inside a network take on real speech, and between which of them 8 bits lose least."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import RequestError
from sonorant.networks.signature import Array, Feeds
from sonorant.prepare.passes.kind import attributes, consumers, showing

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

AT_A_TIME = 64
"""tensors that are made outputs in one run: all of a long network's would not fit into memory"""
MOST = 6
"""feeds that are looked at"""
BINS = 2048
SAMPLED = 1 << 16
"""values of a tensor that are counted, of each feed; the smallest and the largest are of all"""
LEVELS = 255
"""steps of 8 bits"""
_LOW = (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1)
_HIGH = (1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4, 0.3)
"""parts of the whole range that are tried"""


@dataclass(slots=True)
class Seen:
    """The values of one tensor."""

    low: float = 0.0
    high: float = 0.0
    samples: list[Array] = field(default_factory=list)

    def add(self, value: Array) -> None:
        self.low, self.high = min(self.low, float(value.min())), max(self.high, float(value.max()))
        flat = value.reshape(-1)
        self.samples.append(flat[:: max(1, flat.size // SAMPLED)].astype(np.float32))

    def range(self, slope: float = 1.0) -> tuple[float, float]:
        """Between which steps lose the least power: what lies outside is cut off, what is inside is rounded.

        `slope`: times which what is below zero counts afterwards, where a LeakyRelu follows.
        """
        if not self.low < self.high:
            return self.low, self.high
        edges = np.linspace(self.low, self.high, BINS + 1)
        counts = np.histogram(np.concatenate(self.samples), edges)[0]
        centres = (edges[:-1] + edges[1:]) / 2
        weighed = counts * np.where(centres < 0, slope**2, 1.0)

        def lost(low: float, high: float) -> float:
            rounded = ((high - low) / LEVELS) ** 2 / 12
            outside = np.maximum(np.maximum(low - centres, centres - high), 0)
            return float((weighed * np.maximum(np.square(outside), rounded)).sum())

        tried = [(self.low * a, self.high * b) for a in _LOW for b in _HIGH]
        return min(tried, key=lambda pair: lost(*pair))


def least(model: ModelProto, feeds: Sequence[Feeds], names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Of each tensor the range that loses least."""
    seen = {name: Seen() for name in names}
    for name, value in values(model, feeds, names):
        seen[name].add(value)
    following = consumers(model)
    return {name: each.range(_slope(following.get(name, ()))) for name, each in seen.items()}


def values(model: ModelProto, feeds: Sequence[Feeds], names: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """The values of tensors inside the graph, one after the other, for feeds of all lengths."""
    import onnxruntime as ort

    chosen = spread(feeds)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    for start in range(0, len(names), AT_A_TIME):
        part = list(names[start : start + AT_A_TIME])
        shown = showing(model, part).SerializeToString()
        session = ort.InferenceSession(shown, options, providers=["CPUExecutionProvider"])
        inputs = {value.name for value in model.graph.input}
        for each in chosen:
            inside = [name for name in part if name not in inputs]
            yield from zip(inside, session.run(inside, dict(each)), strict=True)
            yield from ((name, each[name]) for name in part if name in inputs)


def spread(feeds: Sequence[Feeds]) -> list[Feeds]:
    """At most MOST of them, of all sizes."""
    ordered = sorted(feeds, key=lambda each: sum(value.size for value in each.values()))
    if len(ordered) <= MOST:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (MOST - 1))] for i in range(MOST)]


def real(feeds: Sequence[Feeds]) -> Sequence[Feeds]:
    """The feeds. Raises RequestError where there are none."""
    if not feeds:
        raise RequestError(
            "Ranges of activations can be measured on real speech only, and there is none for this file",
            remedy="Prepare the model by its name or folder, and not one of its files",
        )
    return feeds


def _slope(following: Sequence[NodeProto]) -> float:
    """By how much what is below zero counts for those that take a tensor."""
    leaky = {"Relu": 0.0, "LeakyRelu": 0.01}
    slopes = [float(attributes(node).get("alpha", leaky.get(node.op_type, 1.0))) for node in following]
    known = all(node.op_type in leaky for node in following)
    return max(slopes, default=1.0) if known else 1.0
