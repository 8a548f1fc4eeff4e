"""Passes to 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sonorant.prepare.passes.kind import Material

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
SMALLEST = 1024
"""elements of a weight that is worth its conversion"""


def half(model: ModelProto, material: Material) -> ModelProto:
    """Computed in float16, inputs and outputs left as they are.

    onnxconverter-common makes invalid graphs of what torch's older exporter wrote; this converter does not.
    """
    from onnxruntime.transformers import float16

    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, *_RANDOM, "Resize"]
    converted: ModelProto = float16.convert_float_to_float16(
        model, keep_io_types=True, op_block_list=blocked, node_block_list=sorted(material.kept)
    )
    # it appends the conversions of inputs behind the nodes that take them
    names = {value.name for value in converted.graph.input}
    firsts = [n for n in converted.graph.node if n.op_type == "Cast" and n.input[0] in names]
    for node in firsts:
        converted.graph.node.remove(node)
    for node in reversed(firsts):
        converted.graph.node.insert(0, node)
    return converted


def brain(model: ModelProto, material: Material) -> ModelProto:
    """Weights in bfloat16, each made float32 where it is used: no processor's kernel needs bfloat16 then."""
    from onnx import TensorProto, helper

    casts: list[NodeProto] = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < SMALLEST:
            continue
        name = weight.name
        weight.CopyFrom(_brain(name, weight))
        casts.append(
            helper.make_node("Cast", [weight.name], [name], name=f"{name}/float32", to=TensorProto.FLOAT)
        )
    for i, cast in enumerate(casts):
        model.graph.node.insert(i, cast)
    return model


def _brain(name: str, weight: TensorProto) -> TensorProto:
    """The weight in bfloat16: the upper 16 bits of float32, rounded to even."""
    from onnx import TensorProto, numpy_helper

    bits = np.ascontiguousarray(numpy_helper.to_array(weight), np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return TensorProto(
        name=f"{name}/bfloat16",
        data_type=TensorProto.BFLOAT16,
        dims=bits.shape,
        raw_data=rounded.tobytes(),
    )
