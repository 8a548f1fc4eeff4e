"""What a pass is: a change of a network's graph that keeps what it computes, or nearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sonorant.networks.proof import EXACT
from sonorant.networks.signature import Feeds
from sonorant.settings import Precision

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from sonorant.prepare.tokens import Tokens


CHANNELS_GIVEN = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1}
CHANNELS_TAKEN = {"Conv": 1, "ConvTranspose": 0, "MatMul": 0}
"""dimension of a layer's weight that counts the channels that it gives, and takes"""

FLOAT8 = range(17, 21)
"""of onnx.TensorProto.DataType"""


@dataclass(frozen=True, slots=True)
class Material:
    """What a pass may look at beside the graph."""

    feeds: Sequence[Feeds] = ()
    """real ones, to see which values occur"""
    kept: frozenset[str] = frozenset()
    """nodes that stay as they are"""
    seen: object = None
    """what the pass's `look` found"""
    tokens: Tokens | None = None
    """that its languages need; None where the network says none, or nobody knows its tokenizer"""


Apply = Callable[["ModelProto", Material], "ModelProto"]
"""a new graph; the given one may be changed. Every node has a name. Raises PassError"""


@dataclass(frozen=True, slots=True)
class Pass:
    """One change, and how far it may move the outputs."""

    name: str
    apply: Apply
    least_snr: float = EXACT
    """dB, against the source; what stays below EXACT must show that nobody hears it, too"""
    precision: Precision = "float32"
    mending: Literal["", "divergence", "sensitivity"] = ""
    """how nodes that must stay as they are are found where the outputs moved too far"""
    touches: frozenset[str] = frozenset()
    """operators that it changes, where those nodes are measured one by one"""
    first: tuple[Apply, ...] = ()
    """exact changes that make it better, and that come before it"""
    look: Callable[[ModelProto, Material], object] | None = None
    """what it has to know of the whole graph, found once for all its versions"""
    wanted: Apply | None = None
    """what of the source it keeps, as a graph: its outputs are held against these, and the model is judged
    however near they are. None = all of it"""
    only: str = ""
    """the engine that gains by it and has to come behind; "" = any may"""


def named(model: ModelProto) -> ModelProto:
    """Give every node a name of its own, by which it can be kept out."""
    taken: set[str] = set()
    for i, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}/{i}"
        taken.add(node.name)
    return model


def attributes(node: NodeProto) -> dict[str, Any]:
    """Name → value."""
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def consumers(model: ModelProto) -> dict[str, list[NodeProto]]:
    """Tensor → the nodes that take it, each as often as it does."""
    found: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def copied(model: ModelProto) -> ModelProto:
    """Another one of the same."""
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


def showing(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """A copy whose outputs are these tensors, too, but for inputs."""
    from onnx import ValueInfoProto

    shown = copied(model)
    there = {value.name for value in (*model.graph.output, *model.graph.input)}
    shown.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in there)
    return shown


def touched(model: ModelProto, touches: frozenset[str]) -> list[NodeProto]:
    """The nodes of those kinds, those with the largest weight first."""
    sizes = {w.name: _elements(w.dims) for w in model.graph.initializer}
    found = [(max((sizes.get(name, 0) for name in node.input), default=0), node) for node in model.graph.node]
    chosen = [(size, node) for size, node in found if node.op_type in touches]
    return [node for _, node in sorted(chosen, key=lambda pair: -pair[0])]


def _elements(dims: Sequence[int]) -> int:
    product = 1
    for dim in dims:
        product *= dim
    return product
