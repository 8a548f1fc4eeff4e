"""Matrices in a graph: as exporters write them, and as ONNX Runtime's dynamic quantisation does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.passes.cutting import Cutting
from sonorant.prepare.pruned import Part

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, slots=True)
class Linear:
    """x · weight + bias, in float32 or with a weight in 8 bits."""

    node: NodeProto
    """takes the weight as its second input"""
    turned: bool
    """the weight is [out, in]"""
    by_column: tuple[tuple[NodeProto, int], ...] = ()
    """nodes and places of what has an entry for each column: bias, scales, zero points"""
    scale: str = ""
    """the weight's, where it is in 8 bits"""

    @property
    def weight(self) -> str:
        return str(self.node.input[1])

    def values(self, graph: Cutting) -> Array:
        """float64 [in, out]"""
        found = graph.value(self.weight)
        assert found is not None
        value = found.astype(np.float64)
        if self.scale:
            zero = graph.value(self.node.input[3]) if len(self.node.input) > 3 else None
            scale = graph.value(self.scale)
            assert scale is not None
            value = (value - (0 if zero is None else zero.astype(np.float64))) * scale
        return value.T if self.turned else value

    def columns(self, graph: Cutting, kept: Sequence[int], of: Part) -> None:
        """Only these are given."""
        graph.cut(self.node, 1, 0 if self.turned else 1, kept, of)
        for node, place in self.by_column:
            graph.cut(node, place, 0, kept, of)

    def rows(self, graph: Cutting, kept: Sequence[int], of: Part) -> None:
        """Only these are taken."""
        graph.cut(self.node, 1, 1 if self.turned else 0, kept, of)


def that_gives(graph: Cutting, tensor: str) -> Linear | None:
    """The matrix whose product, with its bias, a tensor is."""
    columns: list[tuple[NodeProto, int]] = []
    node = graph.makers.get(tensor)
    if node is not None and node.op_type == "Add":
        place = next((i for i, name in enumerate(node.input) if _vector(graph, name)), None)
        if place is None:
            return None
        columns.append((node, place))
        inner = node.input[1 - place]
        node = graph.makers.get(inner) if graph.taker(inner) is node else None
    return _product(graph, node, columns) if node is not None else None


def that_takes(graph: Cutting, tensor: str) -> Linear | None:
    """The matrix that alone takes a tensor."""
    node = graph.taker(tensor)
    if node is not None and node.op_type == "DynamicQuantizeLinear":
        node = graph.taker(node.output[0])
        if node is None or node.op_type != "MatMulInteger" or graph.value(node.input[1]) is None:
            return None
        return Linear(node, False, scale=_scale_of(graph, node))
    if node is None or node.op_type not in ("MatMul", "Gemm") or node.input[0] != tensor:
        return None
    return _product(graph, node, [])


def _product(graph: Cutting, node: NodeProto, columns: list[tuple[NodeProto, int]]) -> Linear | None:
    if node.op_type == "Mul":  # (x in 8 bits · weight in 8 bits) · (scale of x · scale of the weight)
        return _quantised(graph, node, columns)
    if node.op_type == "DynamicQuantizeMatMul" and _matrix(graph, node):  # ONNX Runtime's own, of all these
        columns += [(node, i) for i in range(2, len(node.input)) if _vector(graph, node.input[i])]
        return Linear(node, False, tuple(columns), node.input[2])
    if node.op_type not in ("MatMul", "Gemm") or not _matrix(graph, node):
        return None
    if node.op_type == "Gemm" and len(node.input) > 2:
        if not _vector(graph, node.input[2]):
            return None
        columns.append((node, 2))
    flags = {attribute.name: attribute.i for attribute in node.attribute}
    return None if flags.get("transA") else Linear(node, bool(flags.get("transB")), tuple(columns))


def _quantised(graph: Cutting, node: NodeProto, columns: list[tuple[NodeProto, int]]) -> Linear | None:
    makers = [graph.makers.get(name) for name in node.input]
    cast = next((each for each in makers if each is not None and each.op_type == "Cast"), None)
    scales = next((each for each in makers if each is not None and each.op_type == "Mul"), None)
    if cast is None or scales is None:
        return None
    product = graph.makers.get(cast.input[0])
    if product is not None and product.op_type == "Sub":  # the rows' own zero points are taken off afterwards
        offsets = graph.makers.get(product.input[1])
        sums = (
            [(offsets, i) for i, name in enumerate(offsets.input) if _vector(graph, name)] if offsets else []
        )
        columns += [each for each in sums if each[0].op_type == "Mul"]
        product = graph.makers.get(product.input[0]) if len(sums) == 1 else None
    place = next((i for i, name in enumerate(scales.input) if graph.value(name) is not None), None)
    if product is None or product.op_type != "MatMulInteger" or place is None or not _matrix(graph, product):
        return None
    if _vector(graph, scales.input[place]):
        columns.append((scales, place))
    if len(product.input) > 3 and _vector(graph, product.input[3]):
        columns.append((product, 3))
    return Linear(product, False, tuple(columns), scales.input[place])


def _scale_of(graph: Cutting, product: NodeProto) -> str:
    """The weight's scale, found behind the product."""
    cast = graph.taker(product.output[0])
    times = graph.taker(cast.output[0]) if cast is not None else None
    for name in times.input if times is not None else ():
        maker = graph.makers.get(name)
        if maker is not None and maker.op_type == "Mul":
            return next((each for each in maker.input if graph.value(each) is not None), "")
    return ""


def _matrix(graph: Cutting, node: NodeProto) -> bool:
    value = graph.value(node.input[1])
    return value is not None and value.ndim == 2


def _vector(graph: Cutting, name: str) -> bool:
    value = graph.value(name)
    return value is not None and value.ndim == 1 and value.size > 1
