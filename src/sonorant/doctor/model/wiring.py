"""How an ONNX graph hangs together, and lengths that an export wrote into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import numpy_helper

from sonorant.doctor.model.finding import ERROR, WARNING, Finding, Subject, some

_LARGEST = 1 << 30
"""bytes of a model whose shapes are inferred: it is copied several times for that"""
_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Where")


def loose_ends(subject: Subject, model: Any) -> Iterator[Finding]:
    """Tensors that are used and never made, and those that are made twice."""
    missing: dict[str, str] = {}
    twice: list[str] = []
    _walk(model.graph, set(), missing, twice)
    if missing:
        yield Finding(
            "missing-tensor",
            ERROR,
            what=f"{len(missing)} tensors are used that nothing makes",
            why="Weights were taken out of the file, or the graph was cut in the wrong place",
            remedy="Export or cut it again; where it was downloaded so, fetch it again",
            where=f"{subject.name}: {some(missing)}",
        )
    if twice:
        yield Finding(
            "duplicate-tensor",
            ERROR,
            what=f"{len(twice)} tensors are made twice",
            why="Two graphs were joined without new names",
            remedy="Join them again with a prefix for one of them (onnx.compose.merge_models, prefix1)",
            where=f"{subject.name}: {some(twice)}",
        )


def _walk(graph: Any, outer: set[str], missing: dict[str, str], twice: list[str]) -> None:
    known = outer | {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {sparse.values.name for sparse in graph.sparse_initializer}
    made: set[str] = set()
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                missing.setdefault(name, node.name)
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                _walk(inner, known, missing, twice)
        for name in filter(None, node.output):
            if name in made:
                twice.append(name)
            made.add(name)
            known.add(name)
    for value in graph.output:
        if value.name not in known:
            missing.setdefault(value.name, "output")


def baked(subject: Subject, model: Any) -> Iterator[Finding]:
    """Constants that fix a dimension which the inputs leave open."""
    if subject.size > _LARGEST:
        return
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            weights.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
    open_ = {
        dim.dim_param
        for value in model.graph.input
        if value.name not in weights
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    }
    if not open_:
        return
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # what cannot be inferred is told by the engine, in its own words
        return
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    }
    found = []
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in weights:
            dims = shapes.get(node.input[0], [])
            target = numpy_helper.to_array(weights[node.input[1]])
            if any(dim in open_ for dim in dims if isinstance(dim, str)) and (target > 0).all():
                found.append(node.name or node.output[0])
        elif node.op_type in _ELEMENTWISE:
            found += [node.name or node.output[0]] if _fixed(node, weights, shapes, open_) else []
    if found:
        yield Finding(
            "baked-length",
            WARNING,
            what=f"{len(found)} operators fix a length that the inputs leave open",
            why="The exporter traced one example and wrote its length into the graph",
            remedy="Export it again with dynamic axes and without Python loops over time, "
            "and compare it at several lengths",
            where=f"{subject.name}: {some(found)}",
        )


def _fixed(node: Any, weights: dict[str, Any], shapes: dict[str, list[Any]], open_: set[str]) -> bool:
    """Whether a constant of a certain length meets an open dimension."""
    constants = [list(weights[name].dims) for name in node.input if name in weights]
    others = [shapes.get(name, []) for name in node.input if name not in weights]
    return any(
        isinstance(dim, str) and dim in open_ and size > 1
        for constant in constants
        for other in others
        for dim, size in zip(reversed(other), reversed(constant), strict=False)
    )
