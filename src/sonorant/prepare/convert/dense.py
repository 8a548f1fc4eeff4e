"""Boolean indexing made dense: for builders that have no NonZero.

`y[mask] = f(x[mask])` is exported as NonZero, GatherND of what is chosen, and ScatterND of what comes of
it. Where f treats each item by itself, the same is f of all items, and Where to choose among them: no size
then depends on values. VITS's spline flows are written so. That f does is not proven here: parity is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonorant.prepare.convert.rewriting import constant, put
from sonorant.prepare.passes.kind import copied

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def dense(model: ModelProto) -> ModelProto:
    """A copy of `model` without those NonZero that index by a mask; others stay."""
    copy = copied(model)
    graph = copy.graph
    makers = {out: node for node in graph.node for out in node.output}
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    replaced: dict[int, list[NodeProto]] = {}
    for node in graph.node:
        indices = _indices(node, users)
        if indices is None or not all(_indexes(user, indices) for user in users[indices]):
            continue
        mask = _bare(node.input[0], makers)
        for user in users[indices]:
            replaced[id(user)] = _FORMS[user.op_type](graph, user, mask)
    if replaced:
        put(graph, (new for node in graph.node for new in replaced.get(id(node), [node])))
    return copy


def _indices(node: NodeProto, users: dict[str, list[NodeProto]]) -> str | None:
    """The tensor that holds a row of indices for each that is chosen."""
    if node.op_type != "NonZero":
        return None
    behind = users.get(node.output[0], [])
    if len(behind) != 1 or behind[0].op_type != "Transpose":
        return None
    name: str = behind[0].output[0]
    return name if users.get(name) else None


def _indexes(user: NodeProto, indices: str) -> bool:
    place = 0 if user.op_type == "Shape" else 1
    return user.op_type in _FORMS and user.input[place] == indices and not user.attribute


def _bare(mask: str, makers: dict[str, NodeProto]) -> str:
    """The mask itself, where it was cast for NonZero."""
    maker = makers.get(mask)
    return str(maker.input[0]) if maker is not None and maker.op_type == "Cast" else mask


def _gathered(graph: GraphProto, node: NodeProto, mask: str) -> list[NodeProto]:
    """All items in a row: x, its leading dimensions those of the mask, as [items, …]."""
    from onnx import helper

    x, out = node.input[0], node.output[0]
    rest = f"{out}.rest"
    return [
        helper.make_node("Shape", [mask], [f"{out}.mask"]),
        helper.make_node("Shape", [f"{out}.mask"], [f"{out}.rank"]),
        helper.make_node("Shape", [x], [f"{out}.shape"]),
        helper.make_node(
            "Slice", [f"{out}.shape", f"{out}.rank", constant(graph, f"{out}.end", [2**31 - 1])], [rest]
        ),
        helper.make_node("Concat", [constant(graph, f"{out}.all", [-1]), rest], [f"{out}.target"], axis=0),
        helper.make_node("Reshape", [x, f"{out}.target"], [out]),
    ]


def _chosen(graph: GraphProto, node: NodeProto, mask: str) -> list[NodeProto]:
    """Items laid out as `base` is, where the mask is true; `base` elsewhere."""
    from onnx import helper

    base, _, items = node.input
    out = node.output[0]
    return [
        helper.make_node("Shape", [base], [f"{out}.shape"]),
        helper.make_node("Reshape", [items, f"{out}.shape"], [f"{out}.items"]),
        helper.make_node("Where", [mask, f"{out}.items", base], [out]),
    ]


def _counted(graph: GraphProto, node: NodeProto, mask: str) -> list[NodeProto]:
    """The shape of the rows of indices: [items, rank of the mask]."""
    from onnx import helper

    out = node.output[0]
    return [
        helper.make_node("Shape", [mask], [f"{out}.mask"]),
        helper.make_node("Shape", [f"{out}.mask"], [f"{out}.rank"]),
        helper.make_node("Size", [mask], [f"{out}.size"]),
        helper.make_node("Reshape", [f"{out}.size", constant(graph, f"{out}.one", [1])], [f"{out}.items"]),
        helper.make_node("Concat", [f"{out}.items", f"{out}.rank"], [out], axis=0),
    ]


_FORMS = {"GatherND": _gathered, "ScatterND": _chosen, "Shape": _counted}
