"""Tokens that a language does not need are taken out: rows of the embedding, columns of the output matrix.

    keep = most_used((tokenizer.encode(line) for line in corpus), size=32_768, ratio=0.3, always=specials)
    less = prune(model, keep, size=32_768)

Ids stay what they are: a lookup before the embedding and one behind the output carry them to the rows that
are left, so tokenizer and decoding need not know. A token that is gone is read as `unknown`, and scores 20
less than the least likely one that stayed, so that it is never said. As long as only kept tokens are read and
said, nothing changes (Abdaoui et al., "Load What You Need", 2020; Ushio et al., "Efficient Multilingual
Language Model Compression through Vocabulary Trimming", 2023).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import PassError, RequestError
from sonorant.prepare.passes.cutting import Cutting
from sonorant.prepare.passes.kind import Material, named
from sonorant.prepare.passes.linear import Linear, that_gives

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from sonorant.prepare.tokens import Tokens

PATTERN = (
    "What is looked for: one matrix with a column for each token, and tables that a Gather reads by rows"
)
BELOW = 20.0
"""less than the least likely token's score: e⁻²⁰ of its probability"""


def most_used(
    texts: Iterable[Sequence[int] | Mapping[int, int]], *, size: int, ratio: float, always: Iterable[int] = ()
) -> list[int]:
    """Tokens that stay where `ratio` of `size` go: `always`, the most used in texts, then the lowest ids,
    which tokenizers give to what is frequent. A text may be counts of its tokens."""
    count = Counter[int]()
    for text in texts:
        count.update(text)
    kept = set(always)
    order = sorted(range(size), key=lambda token: (token not in kept, -count[token], token))
    return sorted(order[: max(len(kept), round((1 - ratio) * size))])


def taken_out(model: ModelProto, material: Material, *, ratio: float) -> ModelProto:
    """`prune`, with the tokens that the texts need least. Raises PassError where no tokenizer is known."""
    tokens = _tokens(material)
    return prune(model, tokens.kept(ratio), size=tokens.size)


def unsaid(model: ModelProto, material: Material, *, ratio: float) -> ModelProto:
    """The network as it was, but for those tokens, which it neither reads nor says: `taken_out` must compute
    the same."""
    tokens = _tokens(material)
    return _without(model, tokens.kept(ratio), tokens.size, None, cut=False)


def _tokens(material: Material) -> Tokens:
    if material.tokens is None:
        raise PassError(
            "It is not known which tokens of this network its languages need",
            why="Only a model whose family knows its tokenizer tells that; a bare file has none",
            remedy="Give such a model, or call prune_vocabulary.prune from Python: docs/prepare.md",
        )
    return material.tokens


def prune(model: ModelProto, keep: Sequence[int], *, size: int, unknown: int | None = None) -> ModelProto:
    """keep: ids that stay; size: how many there are. `unknown`: a kept id for what is gone; None = the first.
    The given graph is changed.

    Raises RequestError for ids that are none, PassError where the network has no such matrix, or several.
    """
    return _without(model, keep, size, unknown, cut=True)


def _without(
    model: ModelProto, keep: Sequence[int], size: int, unknown: int | None, *, cut: bool
) -> ModelProto:
    """`cut`: the rows and columns go; else they stay, and are not used."""
    kept = sorted(set(map(int, keep)))
    unknown = kept[0] if unknown is None and kept else unknown
    if not kept or kept[0] < 0 or kept[-1] >= size or unknown not in kept:
        raise RequestError(
            f"Kept ids lie between 0 and {size - 1}, and `unknown` is one of them", param="keep"
        )
    graph = Cutting(named(model))
    outputs = list(_outputs(graph, size))
    tables = [node for node in model.graph.node if node.op_type == "Gather" and _rows(graph, node) == size]
    if len(outputs) != 1:
        raise PassError(
            f"{len(outputs)} matrices with {size} columns are recognised in this network",
            why=PATTERN,
            remedy="Give the size of its vocabulary, or prune it in torch",
        )
    if len({node.input[1] for node in tables}) > 1:  # tokens, and positions or whatever else are as many
        raise PassError(
            f"Tables with {size} rows are read by more than one tensor in this network",
            why="Which of them are tokens is not known",
            remedy="Prune it in torch",
        )
    rows = np.arange(len(kept)) if cut else np.array(kept)
    lookup = np.full(size, rows[kept.index(unknown)], np.int32)
    lookup[kept] = rows
    for node in tables:
        if cut:
            graph.cut(node, 0, 0, kept, "tokens")
        _read(graph, node, lookup)
    tensor, linear = outputs[0]
    if cut:
        linear.columns(graph, kept, "tokens")
    lookup = np.full(size, len(kept), np.int32)
    lookup[kept] = np.arange(len(kept))
    _say(graph, tensor, lookup, [] if cut else kept)
    return graph.done()


def _outputs(graph: Cutting, size: int) -> Iterable[tuple[str, Linear]]:
    """Matrices with so many columns, each with the last tensor that is its product with its bias."""
    found: dict[str, tuple[str, Linear]] = {}
    for node in graph.model.graph.node:
        if node.op_type in ("Add", "Mul", "MatMul", "Gemm", "DynamicQuantizeMatMul"):
            linear = that_gives(graph, node.output[0])
            if linear is not None and linear.values(graph).shape[1] == size:
                found[linear.weight] = node.output[0], linear  # with the bias comes later, and counts
    return found.values()


def _rows(graph: Cutting, node: NodeProto) -> int:
    """Of the table that a Gather reads; 0 where it reads no table by rows."""
    value = graph.value(node.input[0])
    along = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    return value.shape[0] if value is not None and value.ndim == 2 and along == 0 else 0


def _read(graph: Cutting, node: NodeProto, lookup: np.ndarray) -> None:
    from onnx import helper

    place = f"{node.name}/row"
    step = helper.make_node("Gather", ["", node.input[1]], [place], place, axis=0)
    graph.put(step, 0, lookup)
    graph.insert(step, node)
    node.input[1] = place


def _say(graph: Cutting, tensor: str, lookup: np.ndarray, chosen: Sequence[int]) -> None:
    """Behind the output: the scores of all tokens, in their old order. `chosen`: those that count, where the
    output still has all."""
    from onnx import helper

    less = f"{tensor}/kept"
    maker = graph.makers[tensor]
    given = f"{tensor}/whole" if chosen else less
    maker.output[:] = [given if name == tensor else name for name in maker.output]
    least, low, every = (f"{tensor}/{name}" for name in ("least", "low", "all"))
    steps = [
        helper.make_node("ReduceMin", [less, ""], [least], least, keepdims=1),
        helper.make_node("Sub", [least, ""], [low], low),
        helper.make_node("Concat", [less, low], [every], every, axis=-1),
        helper.make_node("Gather", [every, ""], [tensor], f"{tensor}/tokens", axis=-1),
    ]
    opset = next(each.version for each in graph.model.opset_import if each.domain in ("", "ai.onnx"))
    if opset < 18:  # the axes are an attribute
        del steps[0].input[1:]
        steps[0].attribute.append(helper.make_attribute("axes", [-1]))
    else:
        graph.put(steps[0], 1, np.array([-1], np.int64))
    graph.put(steps[1], 1, np.array(BELOW, np.float32))
    graph.put(steps[3], 1, lookup)
    if chosen:
        steps.insert(0, helper.make_node("Gather", [given, ""], [less], less, axis=-1))
        graph.put(steps[0], 1, np.array(chosen, np.int64))
    at = next(i for i, node in enumerate(graph.model.graph.node) if given in node.output)
    for i, step in enumerate(steps):
        graph.model.graph.node.insert(at + 1 + i, step)
