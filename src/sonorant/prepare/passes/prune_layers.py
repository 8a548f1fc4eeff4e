"""A pass that takes out whole transformer blocks: an attention with its sum, and the network behind it.

The blocks that change least what goes through them go first: one minus the cosine of what comes in and what
goes out on real feeds (Block Influence; Men et al., "ShortGPT", 2024). Without real feeds none can be told
from another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import PassError
from sonorant.networks.signature import Array, Feeds
from sonorant.prepare.passes.cutting import Cutting
from sonorant.prepare.passes.kind import Material, showing

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

PATTERN = (
    "What is looked for, at least twice: x + attention(x), with a Softmax in it, and then y + network(y), "
    "each sum one Add; norms before or behind"
)
FEEDS = 4
"""on which the influence of blocks is measured"""
_NORMS = frozenset({"LayerNormalization", "Identity", "Cast"})


@dataclass(frozen=True, slots=True)
class Sum:
    """x + f(x)"""

    node: NodeProto
    x: str
    attends: bool
    """there is an attention in f"""


@dataclass(frozen=True, slots=True)
class Block:
    """What is left out together."""

    sums: tuple[Sum, ...]

    @property
    def begins(self) -> str:
        return self.sums[0].x

    @property
    def ends(self) -> str:
        return str(self.sums[-1].node.output[0])


def prune(model: ModelProto, material: Material, *, ratio: float) -> ModelProto:
    """Take `ratio` of the blocks out, at least one, those with the least influence; one stays at least.

    Raises PassError where fewer than two blocks are recognised, or there are no real feeds.
    """
    graph = Cutting(model)
    found = [each for each in blocks(graph) if not {one.node.name for one in each.sums} & material.kept]
    if len(found) < 2:
        raise PassError(
            "No row of transformer blocks is recognised in this network",
            why=PATTERN,
            remedy="Take out channels (prune-30) or attention heads (prune-heads-30)",
        )
    if not material.feeds:
        raise PassError(
            "Which blocks matter can be measured on real speech only, and there is none for this file",
            remedy="Prepare the model by its name or folder, and not one of its files",
        )
    influence = influences(model, found, material.feeds[:FEEDS])
    count = min(len(found) - 1, max(1, round(ratio * len(found))))
    gone = [found[i] for i in np.argsort(influence, kind="stable")[:count]]
    instead = {one.node.output[0]: one.x for each in gone for one in each.sums}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            while name in instead:
                name = instead[name]
            node.input[i] = name
    return graph.done([one.node.name for each in gone for one in each.sums])


def influences(model: ModelProto, found: Sequence[Block], feeds: Sequence[Feeds]) -> Array:
    """Of each block, 0 to 2: how much it turns what goes through it, in the mean of all vectors."""
    import onnxruntime

    names = list(dict.fromkeys(name for each in found for name in (each.begins, each.ends)))
    shown = showing(model, names).SerializeToString()
    session = onnxruntime.InferenceSession(shown, providers=["CPUExecutionProvider"])
    total = np.zeros(len(found))
    for each in feeds:
        values = dict(zip(names, session.run(names, dict(each)), strict=True))
        for i, block in enumerate(found):
            a, b = (values[name].astype(np.float64) for name in (block.begins, block.ends))
            norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
            total[i] += 1 - float(np.mean((a * b).sum(-1) / np.maximum(norms, 1e-12)))
    return total / len(feeds)


def blocks(graph: Cutting) -> list[Block]:
    """In their order: sums that attend, and what follows them up to a sum that does not."""
    rows: list[Block] = []
    pending: list[Sum] = []
    for one in _sums(graph):
        if pending and not _follows(graph, one.x, pending[-1].node.output[0]):
            pending = []
        if one.attends or pending:
            pending.append(one)
        if pending and not one.attends:
            rows.append(Block(tuple(pending)))
            pending = []
    return rows


def _sums(graph: Cutting) -> Iterator[Sum]:
    for node in graph.model.graph.node:
        if node.op_type != "Add" or any(graph.value(name) is not None for name in node.input):
            continue
        for x, f in (node.input, reversed(list(node.input))):
            inside = _between(graph, f, x)
            if inside and any(each.op_type in ("MatMul", "Gemm", "MatMulInteger", "Conv") for each in inside):
                yield Sum(node, x, any(_attends(graph, each) for each in inside))
                break


def _attends(graph: Cutting, node: NodeProto) -> bool:
    """Its shares weigh what they are multiplied with."""
    takers = graph.takers.get(node.output[0], []) if node.op_type == "Softmax" else []
    return any(each.op_type == "MatMul" and each.input[0] == node.output[0] for each in takers)


def _between(graph: Cutting, end: str, begin: str) -> list[NodeProto]:
    """The nodes on the ways from one tensor to the other; none where no way leads there."""
    reached: dict[str, bool] = {}
    inside: dict[str, NodeProto] = {}

    order = [end]
    while order:  # depth first, without recursion: long networks have thousands of nodes
        name = order[-1]
        node = graph.makers.get(name)
        early = graph.order.get(name, -1) < graph.order.get(begin, -1)  # nothing of it comes from there
        if name in reached or name == begin or node is None or early:
            reached.setdefault(name, name == begin)
            order.pop()
            continue
        waiting = [each for each in node.input if each and each not in reached]
        if waiting:
            order += waiting
            continue
        reached[name] = any(reached.get(each, False) for each in node.input)
        if reached[name]:
            inside[node.name] = node
        order.pop()
    return list(inside.values())


def _follows(graph: Cutting, tensor: str, before: str) -> bool:
    """It is the other, or a norm of it."""
    for _ in range(3):
        if tensor == before:
            return True
        node = graph.makers.get(tensor)
        if node is None or node.op_type not in _NORMS:
            return False
        tensor = node.input[0]
    return False
