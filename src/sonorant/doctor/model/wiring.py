"""How an ONNX graph hangs together, and lengths that an export wrote into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import onnx
from onnx import numpy_helper

from sonorant.doctor.model.finding import ERROR, WARNING, Finding, Subject, some

_LARGEST = 1 << 30
"""bytes of a model whose shapes are inferred: it is copied several times for that"""
_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Where")


@dataclass
class _Ends:
    """Names of tensors."""

    missing: list[str] = field(default_factory=list)
    """used, and made by nothing"""
    late: list[str] = field(default_factory=list)
    """used before the node that makes them"""
    circular: list[str] = field(default_factory=list)
    """made out of themselves"""
    twice: list[str] = field(default_factory=list)
    """made twice"""


def loose_ends(subject: Subject, model: Any) -> Iterator[Finding]:
    """Tensors that are used and never made, made of themselves, made after they are used, and made twice."""
    ends = _Ends()
    _walk(model.graph, set(), set(), ends)
    missing = [*dict.fromkeys(ends.missing)]
    if missing:
        yield Finding(
            "missing-tensor",
            ERROR,
            what=f"{len(missing)} tensors are used that nothing makes",
            why="Weights were taken out of the file, or the graph was cut in the wrong place",
            remedy="Export or cut it again; where it was downloaded so, fetch it again",
            where=f"{subject.name}: {some(missing)}",
        )
    if ends.circular:
        yield Finding(
            "cyclic-graph",
            ERROR,
            what=f"{len(ends.circular)} tensors are made out of themselves: the graph goes in a circle",
            why="A tool that changed it connected an output to what comes before; a state goes through Loop "
            "or Scan, or out of the model and in again",
            remedy="Export it again, or undo the change that joined them",
            where=f"{subject.name}: {some(ends.circular)}",
        )
    elif ends.late:
        yield Finding(
            "unsorted-graph",
            WARNING,
            what=f"{len(ends.late)} tensors are used before the node that makes them",
            why="A tool that changed it put nodes at the end; ONNX asks for their order, and of engines and "
            "tools some sort them and others refuse",
            remedy="Sort it (onnx_graphsurgeon: graph.toposort()), or export it again",
            where=f"{subject.name}: {some(ends.late)}",
        )
    if ends.twice:
        yield Finding(
            "duplicate-tensor",
            ERROR,
            what=f"{len(ends.twice)} tensors are made twice",
            why="Two graphs were joined without new names",
            remedy="Join them again with a prefix for one of them (onnx.compose.merge_models, prefix1)",
            where=f"{subject.name}: {some(ends.twice)}",
        )


def _walk(graph: Any, outer: set[str], later: set[str], ends: _Ends) -> set[str]:
    """What is used before the graphs around it make it. outer, later: what those have made, and will."""
    known = outer | {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {sparse.values.name for sparse in graph.sparse_initializer}
    later = later | {name for node in graph.node for name in node.output}
    made: set[str] = set()
    early: set[str] = set()
    for node in graph.node:
        for name in {*node.input} - known - {""}:
            (early.add if name in later else ends.missing.append)(name)
        for inner in _inside(node):
            early |= _walk(inner, known, later, ends)
        for name in filter(None, node.output):
            if name in made:
                ends.twice.append(name)
            made.add(name)
            known.add(name)
    ends.missing += [value.name for value in graph.output if value.name not in known]
    if late := sorted(early & made):
        ends.late += late
        ends.circular += _circle(graph)
    return early - made


def _circle(graph: Any) -> list[str]:
    """The tensors on one way that leads back to where it began."""
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = {i: {maker[name] for name in _used(node) if name in maker} for i, node in enumerate(graph.node)}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return [name for index in dict.fromkeys(error.args[1]) for name in graph.node[index].output if name]
    return []


def _used(node: Any) -> set[str]:
    """By itself and by the graphs inside it."""
    return {*node.input}.union(*(_used(one) for inner in _inside(node) for one in inner.node))


def _inside(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


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
