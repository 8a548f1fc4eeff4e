"""A pass that takes out whole attention heads, the quietest first.

A head's loudness is the L1 norm of its values' weights times that of the rows of the output matrix that take
it: magnitude, as for channels (prune.py). Many heads can go with little loss (Michel et al., "Are Sixteen
Heads Really Better than One?", NeurIPS 2019), more of them after training on.

Attention is recognised only as it is written in `PATTERN`; whatever else lies on the way leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import PassError
from sonorant.networks.signature import Array
from sonorant.prepare.passes.cutting import Cutting
from sonorant.prepare.passes.kind import Material
from sonorant.prepare.passes.linear import Linear, that_gives, that_takes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

PATTERN = (
    "What is looked for: queries, keys and values each from a matrix (MatMul, Gemm, or MatMulInteger of "
    "dynamic quantisation), through Reshape to […, heads, width] and Transpose; MatMul, Softmax, MatMul; "
    "Transpose, Reshape and a matrix"
)
_SPLIT = ([0, 2, 1, 3], [0, 2, 3, 1])
"""[row, time, head, width] → [row, head, time, width], and the same for keys with time last"""
_SCORES = frozenset({"Add", "Mul", "Div", "Where", "Cast", "Identity"})
"""between the product of queries and keys and the softmax: scale and mask"""
STEPS = 6


@dataclass(frozen=True, slots=True)
class Split:
    """A matrix whose columns become heads."""

    linear: Linear
    reshape: NodeProto


@dataclass(frozen=True, slots=True)
class Attention:
    """One that is recognised for certain."""

    heads: int
    width: int
    splits: tuple[Split, Split, Split]
    """of queries, keys, values"""
    join: NodeProto
    """the Reshape that lays heads side by side"""
    out: Linear

    def loudness(self, graph: Cutting) -> Array:
        """float64 [heads]"""
        values = np.abs(self.splits[2].linear.values(graph)).sum(0).reshape(self.heads, -1).sum(1)
        taken = np.abs(self.out.values(graph)).sum(1).reshape(self.heads, -1).sum(1)
        return np.asarray(values * taken)


def prune(model: ModelProto, material: Material, *, ratio: float) -> ModelProto:
    """Take the quietest `ratio` of the heads out of every attention; one stays at least.

    Layers that share their weights lose the same heads. Raises PassError where no attention is recognised.
    """
    graph = Cutting(model)
    found = list(attentions(graph, material.kept))
    if not found:
        raise PassError(
            "No attention is recognised in this network",
            why=PATTERN,
            remedy="Take out channels (prune-30) or layers (prune-layers-30), or prune it in torch",
        )
    chosen: dict[tuple[str, ...], list[int]] = {}
    for each in found:
        shared = tuple(split.linear.weight for split in each.splits)
        if shared not in chosen:
            left = max(1, round((1 - ratio) * each.heads))
            quietest = np.argsort(-each.loudness(graph), kind="stable")
            chosen[shared] = sorted(int(i) for i in quietest[:left])
    plans = [(each, chosen[tuple(s.linear.weight for s in each.splits)]) for each in found]
    for each, heads in plans:
        _cut(graph, each, heads)
    return graph.done()


def _cut(graph: Cutting, each: Attention, heads: list[int]) -> None:
    if len(heads) == each.heads:
        return
    kept = [head * each.width + i for head in heads for i in range(each.width)]
    for split in each.splits:
        split.linear.columns(graph, kept, "heads")
        _resize(graph, split.reshape, -2, len(heads))
    each.out.rows(graph, kept, "heads")
    _resize(graph, each.join, -1, len(kept))


def attentions(graph: Cutting, kept: frozenset[str] = frozenset()) -> Iterator[Attention]:
    """Those that are recognised, but for those with nodes that stay as they are."""
    for node in list(graph.model.graph.node):
        if node.op_type == "Softmax":
            each = _attention(graph, node)
            if each and not {n.name for n in (*[s.linear.node for s in each.splits], each.out.node)} & kept:
                yield each


def _attention(graph: Cutting, softmax: NodeProto) -> Attention | None:
    product = _scores(graph, softmax.input[0])
    mixed = graph.taker(softmax.output[0], last=False)
    if product is None or mixed is None or mixed.op_type != "MatMul" or mixed.input[0] != softmax.output[0]:
        return None
    splits = [_split(graph, name) for name in (*product.input, mixed.input[1])]
    back = graph.taker(mixed.output[0], last=False)
    if back is None or _perm(back) != [0, 2, 1, 3]:
        return None
    join = graph.taker(back.output[0], last=False)
    out = that_takes(graph, join.output[0]) if join is not None and join.op_type == "Reshape" else None
    if join is None or out is None or any(split is None for split in splits):
        return None
    query, key, value = (split for split in splits if split is not None)
    sizes = {tuple(_sizes(graph, split.reshape)[-2:]) for split in (query, key, value)}
    heads, width = next(iter(sizes))
    if len(sizes) != 1 or not heads or not width or heads < 2:
        return None
    joined = _sizes(graph, join)
    if joined[-1:] not in ([heads * width], [-1]) or graph.value(out.weight) is None:
        return None
    columns = {split.linear.values(graph).shape[1] for split in (query, key, value)}
    if columns | {out.values(graph).shape[0]} != {heads * width}:
        return None
    return Attention(heads, width, (query, key, value), join, out)


def _scores(graph: Cutting, tensor: str, steps: int = STEPS) -> NodeProto | None:
    """The product of queries and keys, behind scale and mask, where exactly one way leads to it."""
    node = graph.makers.get(tensor)
    if node is None or not steps:
        return None
    if node.op_type == "MatMul":
        return node if all(graph.value(name) is None for name in node.input) else None
    if node.op_type not in _SCORES:
        return None
    found = [each for name in node.input if (each := _scores(graph, name, steps - 1)) is not None]
    return found[0] if len(found) == 1 else None


def _split(graph: Cutting, tensor: str, steps: int = STEPS) -> Split | None:
    """Back from a factor of a product to its matrix: scale, Transpose, Reshape."""
    node = graph.makers.get(tensor)
    if node is None or not steps or graph.taker(tensor, last=False) is None:
        return None
    if node.op_type in ("Mul", "Div"):  # a scale; the other factor leads to no matrix
        found = [each for name in node.input if (each := _split(graph, name, steps - 1)) is not None]
        return found[0] if len(found) == 1 else None
    if node.op_type != "Transpose":
        return None
    before = graph.makers.get(node.input[0])
    if _perm(node) == [0, 1, 3, 2]:  # keys, turned by themselves
        return _split(graph, node.input[0], steps - 1)
    if _perm(node) not in _SPLIT or before is None or before.op_type != "Reshape":
        return None
    if len(_sizes(graph, before)) != 4 or graph.taker(before.output[0], last=False) is None:
        return None
    if graph.taker(before.input[0]) is None:
        return None
    linear = that_gives(graph, before.input[0])
    return Split(linear, before) if linear else None


def _perm(node: NodeProto) -> list[int]:
    return (
        next((list(a.ints) for a in node.attribute if a.name == "perm"), [])
        if node.op_type == "Transpose"
        else []
    )


def _sizes(graph: Cutting, reshape: NodeProto) -> list[int | None]:
    """The shape that is asked for; None for what is computed."""
    name = reshape.input[1]
    value = graph.value(name)
    if value is not None:
        return [int(size) for size in value.reshape(-1)]
    maker = graph.makers.get(name)
    if maker is None or maker.op_type != "Concat":
        return []
    sizes: list[int | None] = []
    for piece in maker.input:
        known = graph.value(piece)
        if known is None and (inner := graph.makers.get(piece)) is not None and inner.op_type == "Unsqueeze":
            known = graph.value(inner.input[0])
        sizes += [None] if known is None else [int(size) for size in known.reshape(-1)]
    return sizes


def _resize(graph: Cutting, reshape: NodeProto, place: int, size: int) -> None:
    """Ask for another size; of a computed shape a copy is made, as others may take it, too."""
    from onnx import helper

    name = reshape.input[1]
    value = graph.value(name)
    if value is not None:
        if value[place] != -1:
            value = value.copy()
            value[place] = size
            graph.put(reshape, 1, value)
        return
    maker = graph.makers[name]
    own = helper.make_node(
        "Concat", list(maker.input), [f"{name}/{reshape.name}"], f"{reshape.name}/shape", axis=0
    )
    known = graph.value(own.input[place])
    if known is not None and known.size == 1 and int(known.reshape(-1)[0]) == -1:
        return
    graph.put(own, len(own.input) + place, np.array([size], np.int64))
    graph.insert(own, reshape)
    reshape.input[1] = own.output[0]
