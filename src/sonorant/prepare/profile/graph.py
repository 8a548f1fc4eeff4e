"""The file that an engine was made of: its nodes before they are fused, and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.prepare.profile.work import CONVS, Shape

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class File:
    """What a model file holds."""

    nodes: int
    """of its graph and of those inside it, constants left out"""
    weights: int
    """bytes"""
    convolutions: dict[str, Shape] = field(default_factory=dict)
    """node → shape of its weights"""
    optimised: bool = False
    """an .ort file: it was fused before it was published"""


def read(path: Path, derived: bytes | None = None) -> File:
    """Of an .onnx or .ort file, or of a model that was made from it."""
    if derived is None and path.suffix == ".ort":
        from sonorant.networks import ort_format

        found = ort_format.read(path, "else_branch")
        return File(len(found.nodes), sum(weight.nbytes for weight in found.weights.values()), optimised=True)
    import onnx

    model = onnx.load_model_from_string(derived) if derived else onnx.load(path, load_external_data=False)
    graphs = list(_graphs(model.graph))
    bits = {kind: round(8 * _bytes(kind)) for kind in onnx.TensorProto.DataType.values()}
    shapes = {weight.name: tuple(weight.dims) for graph in graphs for weight in graph.initializer}
    dequantised = {
        node.output[0]: shapes[node.input[0]]
        for graph in graphs
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes
    }
    convolutions: dict[str, Shape] = {}
    for graph in graphs:
        for node in graph.node:
            if node.op_type in CONVS | {"ConvTranspose"}:
                named = node.input[3] if node.op_type == "QLinearConv" else node.input[1]
                if (shape := (shapes | dequantised).get(named)) is not None:
                    convolutions[node.name] = shape
    weights = sum(prod(w.dims) * bits[w.data_type] // 8 for graph in graphs for w in graph.initializer)
    nodes = sum(node.op_type != "Constant" for graph in graphs for node in graph.node)
    return File(nodes, weights, convolutions)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _bytes(kind: int) -> float:
    """Of an element."""
    import onnx

    sizes: dict[int, Any] = {onnx.TensorProto.UINT4: 0.5, onnx.TensorProto.INT4: 0.5}
    if kind in sizes:
        return float(sizes[kind])
    try:
        return float(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
    except (KeyError, TypeError, ValueError):
        return 0.0
