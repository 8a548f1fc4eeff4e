"""Passes that shorten weights only: what a language model reads at each token is most of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonorant.prepare.passes.kind import Material

if TYPE_CHECKING:
    from onnx import ModelProto

BLOCK = 32
"""weights that share a scale"""
IN_8_BITS = 4
"""accuracy level: activations are quantised inside the kernel, which is the fast one"""


def only(model: ModelProto, material: Material, *, bits: int) -> ModelProto:
    """MatMul with a constant weight → MatMulNBits."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        model,
        bits=bits,
        block_size=BLOCK,
        is_symmetric=True,
        accuracy_level=IN_8_BITS,
        nodes_to_exclude=sorted(material.kept),
    )
    quantizer.process()
    shortened: ModelProto = quantizer.model.model
    return shortened
