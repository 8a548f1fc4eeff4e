"""Lengths that follow from values, made to follow from sizes: for builders that must know all sizes.

A network that speaks gives each of its phonemes a duration, and has as many frames as these come to. An
engine for which sizes are known before values are can hold it all the same: with so many frames for each
phoneme that they nearly always suffice, and the rest masked. VITS masks most of what has frames itself, since
voices of a batch end at different times; the convolutions behind that are masked here, so that what is spoken
is what it would be without any frames behind its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sonorant.networks.signature import BATCH
from sonorant.prepare.convert.rewriting import constant, put
from sonorant.prepare.passes.kind import copied

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

LENGTHS = "lengths"
"""the added output: int64 [batch], how much of the last axis of the first output is real"""
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_BEHIND_MAXIMUM = ("Cast", "Squeeze", "Unsqueeze", "Reshape", "Identity")
_BEHIND_SUM = (*_BEHIND_MAXIMUM, "Clip", "Max", "Ceil", "Round")


def bounded(model: ModelProto, steps: int) -> ModelProto:
    """A copy of `model` in which the frames are `steps` for each duration, whatever the durations are.

    What lies behind a row's own end is to be cut off: the added output LENGTHS says where. A row that would
    be longer is cut short, and LENGTHS then says more than there is. Without lengths that follow from
    durations the copy is equal.
    """
    copy = copied(model)
    graph = copy.graph
    makers = {out: node for node in graph.node for out in node.output}
    nodes: list[NodeProto] = []
    rates: dict[str, int] = {}
    """tensor that has such a length → its steps a frame"""
    weights = {weight.name: weight for weight in graph.initializer}
    lengths = ""
    for node in graph.node:
        rate = max((rates[name] for name in node.input if name in rates), default=0)
        if found := _lengths(node, makers):
            lengths, durations = found
            nodes += _bound(graph, node, durations, steps)
            rate = 1
        elif rate and node.op_type in _CONVOLUTIONS:
            weight = weights.get(node.input[1])
            if weight is not None and len(weight.dims) == 3 and weight.dims[2] > 1:
                nodes += _masked(graph, node, weight, lengths, rate)
            rate *= _stride(node)
        if rate:
            rates |= dict.fromkeys(node.output, rate)
        nodes.append(node)
    if lengths:
        nodes += _told(graph, lengths, rates.get(graph.output[0].name, 1))
        put(graph, nodes)
    return copy


def _lengths(node: NodeProto, makers: dict[str, NodeProto]) -> tuple[str, str] | None:
    """The rows' lengths, of which a Range takes the largest, and the durations that they sum."""
    if node.op_type != "Range":
        return None
    largest = _behind(node.input[1], makers, "ReduceMax", _BEHIND_MAXIMUM)
    total = _behind(largest.input[0], makers, "ReduceSum", _BEHIND_SUM) if largest is not None else None
    return None if largest is None or total is None else (largest.input[0], total.input[0])


def _behind(name: str, makers: dict[str, NodeProto], kind: str, between: tuple[str, ...]) -> NodeProto | None:
    """The node of that kind that `name` comes from, with none but `between` on the way."""
    node = makers.get(name)
    while node is not None and node.op_type in between:
        node = makers.get(node.input[0])
    return node if node is not None and node.op_type == kind else None


def _bound(graph: GraphProto, node: NodeProto, durations: str, steps: int) -> list[NodeProto]:
    """Make the Range as long as all durations together may be."""
    from onnx import helper

    own = node.output[0]
    node.input[1] = f"{own}.bound"
    return [
        helper.make_node("Shape", [durations], [f"{own}.shape"]),
        helper.make_node("Gather", [f"{own}.shape", constant(graph, f"{own}.last", -1)], [f"{own}.items"]),
        helper.make_node("Mul", [f"{own}.items", constant(graph, f"{own}.steps", steps)], [f"{own}.bound"]),
    ]


def _masked(
    graph: GraphProto, node: NodeProto, weight: TensorProto, lengths: str, rate: int
) -> list[NodeProto]:
    """Have a convolution over [batch, channels, steps] see zeros behind the end of each row."""
    from onnx import helper

    x, own = node.input[0], f"{node.output[0]}.masked"
    node.input[0] = own

    def made(kind: str, *inputs: str, to: str, **attributes: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [f"{own}.{to}" if to else own], **attributes)

    def held(name: str, value: int | list[int]) -> str:
        return constant(graph, f"{own}.{name}", value)

    return [
        made("Shape", x, to="shape"),
        made("Gather", f"{own}.shape", held("axis", 2), to="size"),
        made("Range", held("zero", 0), f"{own}.size", held("one", 1), to="steps"),
        made("Reshape", lengths, held("column", [-1, 1, 1]), to="frames"),
        made("Mul", f"{own}.frames", held("rate", rate), to="ends"),
        made("Less", f"{own}.steps", f"{own}.ends", to="real"),
        helper.make_node("Cast", [f"{own}.real"], [f"{own}.mask"], to=weight.data_type),
        made("Mul", x, f"{own}.mask", to=""),
    ]


def _stride(node: NodeProto) -> int:
    """Steps that a transposed convolution makes of one."""
    if node.op_type != "ConvTranspose":
        return 1
    return next((int(a.ints[0]) for a in node.attribute if a.name == "strides" and a.ints), 1)


def _told(graph: GraphProto, lengths: str, rate: int) -> list[NodeProto]:
    """The output LENGTHS."""
    import onnx
    from onnx import helper

    declared = helper.make_tensor_value_info(LENGTHS, onnx.TensorProto.INT64, [BATCH.name])
    graph.output.append(declared)
    row, steps = constant(graph, f"{LENGTHS}.row", [-1]), constant(graph, f"{LENGTHS}.rate", rate)
    return [
        helper.make_node("Reshape", [lengths, row], [f"{LENGTHS}.frames"]),
        helper.make_node("Mul", [f"{LENGTHS}.frames", steps], [LENGTHS]),
    ]
