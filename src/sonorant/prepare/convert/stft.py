"""Short-time Fourier transforms as convolutions: the same sums, which every engine has.

OpenVINO 2026.4 dies of an STFT whose window has no length beside it, as torch exports it; TensorRT has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.convert.rewriting import constant, put
from sonorant.prepare.passes.kind import attributes, copied

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


_MARK = "fourier transform"
"""in the names of nodes that compute one"""


def is_transform(name: str) -> bool:
    """Is a node with this name part of what `plain` wrote?"""
    return f"/{_MARK}/" in name


def plain(model: ModelProto) -> ModelProto:
    """A copy in which each STFT of a real signal with a fixed step and size is a convolution."""
    from onnx import numpy_helper

    model = copied(model)
    constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and "value" in attributes(node):
            constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        basis = _basis(node, constants) if node.op_type == "STFT" else None
        if basis is None:
            nodes.append(node)
            continue
        nodes += _convolution(model.graph, node, basis, int(constants[node.input[1]]))
    put(model.graph, nodes)
    return model


def _basis(node: NodeProto, constants: Mapping[str, Array]) -> Array | None:
    """float32 [2 · bins, 1, size]: real parts, then imaginary ones; None where it is not known beforehand."""
    step, window, size = (constants.get(name) if name else None for name in [*node.input[1:], "", ""][:3])
    given = [name for name in node.input[2:] if name]
    if step is None or not given or any(name not in constants for name in given):
        return None
    length = int(size) if size is not None else len(window)  # type: ignore[arg-type]  # one of them is given
    shape = np.zeros(length)
    values = np.ones(length) if window is None else window.astype(np.float64)
    before = (length - len(values)) // 2
    shape[before : before + len(values)] = values
    bins = length // 2 + 1 if attributes(node).get("onesided", 1) else length
    turns = np.exp(-2j * np.pi * np.outer(np.arange(bins), np.arange(length)) / length) * shape
    return np.concatenate([turns.real, turns.imag])[:, np.newaxis].astype(np.float32)


def _convolution(graph: GraphProto, node: NodeProto, basis: Array, step: int) -> list[NodeProto]:
    """[rows, samples] or [rows, samples, 1] → [rows, frames, bins, 2]"""
    from onnx import helper

    own = node.output[0]
    flat = constant(graph, f"{own}/flat", [0, 1, -1])
    parts = constant(graph, f"{own}/parts", [0, 2, len(basis) // 2, -1])
    weight = constant(graph, f"{own}/basis", basis)

    def made(kind: str, inputs: list[str], output: str, **values: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [output], name=f"{own}/{_MARK}/{output}", **values)

    return [
        made("Reshape", [node.input[0], flat], f"{own}/signal"),
        made("Conv", [f"{own}/signal", weight], f"{own}/frames", strides=[step]),
        made("Reshape", [f"{own}/frames", parts], f"{own}/split"),
        made("Transpose", [f"{own}/split"], own, perm=[0, 3, 2, 1]),
    ]
