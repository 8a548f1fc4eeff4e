"""Layers in float8 (E4M3), for TensorRT: its tensor cores compute in it from Ada and Hopper on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sonorant.errors import PassError
from sonorant.networks.signature import Array
from sonorant.prepare.convert.rewriting import inside
from sonorant.prepare.passes import ranges
from sonorant.prepare.passes.kind import Material, attributes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

LARGEST = 448.0
"""of E4M3 without infinities (Micikevicius et al. 2022, "FP8 formats for deep learning", table 1)"""
LAYERS = ("Conv", "MatMul", "Gemm")
OPSET = 19
"""the first whose QuantizeLinear knows float8"""
AXES = {"Conv": 0, "MatMul": 1, "Gemm": 1}
"""dimension of a weight that counts the channels that it gives"""


def float8(model: ModelProto, material: Material) -> ModelProto:
    """What layers take between QuantizeLinear and DequantizeLinear, their weights in float8, each channel
    with a scale of its own. Biases stay in float32.

    Raises RequestError where there is nothing real to measure ranges on, PassError for a graph in float16.
    """
    from onnx import TensorProto, version_converter

    seen = material.seen or largest(model, material)
    assert isinstance(seen, dict)
    if next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")) < OPSET:
        model = version_converter.convert_version(model, OPSET)
    graph = model.graph
    weights = {weight.name: weight for weight in graph.initializer}
    if any(weight.data_type == TensorProto.FLOAT16 for weight in graph.initializer):
        raise PassError(
            "float8 is made of float32, and this graph is in float16",
            remedy="Leave float16 out: --to float8+tensorrt",
        )
    nodes: list[NodeProto] = []
    made: dict[tuple[str, int | None], str] = {}
    for node in graph.node:
        if node.op_type in LAYERS and node.name not in material.kept:
            for i, name in enumerate(node.input[:2]):
                weight = weights.get(name)
                axis = _axis(node, weight) if weight is not None else None
                if (name, axis) not in made:
                    made[name, axis] = _pair(model, nodes, name, weight, axis, seen.get(name, 0.0))
                node.input[i] = made[name, axis]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in (*node.input, *inside(node))}
    used |= {value.name for value in graph.output}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


def largest(model: ModelProto, material: Material) -> dict[str, float]:
    """Tensor that a layer takes → its largest magnitude. It is not cut off, as the steps of a floating-point
    number grow with it and a smaller range gains nothing. Raises RequestError as `float8`."""
    weights = {weight.name for weight in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    names = [
        name for name in dict.fromkeys(n for node in layers for n in node.input[:2]) if name not in weights
    ]
    found = dict.fromkeys(names, 0.0)
    for name, value in ranges.values(model, ranges.real(material.feeds), names):
        found[name] = max(found[name], float(np.abs(value).max(initial=0.0)))
    return found


def _axis(node: NodeProto, weight: TensorProto) -> int | None:
    """None = one scale for all of it."""
    if (node.op_type == "MatMul" and len(weight.dims) != 2) or weight.name == node.input[0]:
        return None
    return 0 if attributes(node).get("transB") else AXES[node.op_type]


def _pair(
    model: ModelProto,
    nodes: list[NodeProto],
    name: str,
    weight: TensorProto | None,
    axis: int | None,
    most: float,
) -> str:
    """The tensor as float8 knows it; `most`: its largest magnitude, where it is no weight."""
    import ml_dtypes
    from onnx import helper, numpy_helper

    base = name if axis is None else f"{name}.{axis}"
    scale, zero, low, out = (f"{base}.{part}" for part in ("scale", "zero", "float8", "dequantised"))
    peaks: Array = np.asarray(most, np.float32)
    if weight is not None:
        value = numpy_helper.to_array(weight).astype(np.float32)
        peaks = np.abs(value).max(
            axis=None if axis is None else tuple(i for i in range(value.ndim) if i != axis)
        )
    scales = np.where(peaks > 0, peaks / LARGEST, 1.0).astype(np.float32)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(scales, scale))
    graph.initializer.append(numpy_helper.from_array(np.zeros(scales.shape, ml_dtypes.float8_e4m3fn), zero))
    if weight is None:
        nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [low], f"{base}/QuantizeLinear"))
    else:
        spread = (
            scales if axis is None else np.expand_dims(scales, [i for i in range(value.ndim) if i != axis])
        )
        rounded = np.clip(value / spread, -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
        graph.initializer.append(numpy_helper.from_array(rounded, low))
    given: dict[str, Any] = {} if axis is None else {"axis": axis}
    nodes.append(
        helper.make_node("DequantizeLinear", [low, scale, zero], [out], f"{base}/DequantizeLinear", **given)
    )
    return out
