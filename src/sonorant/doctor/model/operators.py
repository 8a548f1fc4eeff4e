"""The operators of an ONNX model: which there are, and whether an engine here knows them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import onnx

from sonorant.doctor.model.finding import ERROR, Finding, Subject, some

_ALIKE = 0.8
"""share of letters from which on a name is another misspelt: by difflib's usual 0.6 Frobnicate is Concat"""
_STANDARD = ("", "ai.onnx")
_MULTIPLYING = {
    "Conv": (1,), "ConvTranspose": (1,), "MatMul": (0, 1), "Gemm": (0, 1), "Gather": (0,),
    "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2),
    "MatMulInteger": (0, 1), "ConvInteger": (1,), "QLinearMatMul": (3,), "QLinearConv": (3,),
    "DynamicQuantizeMatMul": (1,), "MatMulIntegerToFloat": (1,), "MatMulNBits": (1,), "FusedConv": (1,),
    "DynamicQuantizeLSTM": (1, 2), "FusedMatMul": (0, 1), "FusedGemm": (0, 1), "Attention": (1,),
}  # fmt: skip
"""operator → its inputs that hold weights"""
_THROUGH = ("DequantizeLinear", "QuantizeLinear", "Transpose", "Cast", "Identity", "Reshape")
"""what a weight may pass on its way"""


def graphs(graph: Any) -> Iterator[Any]:
    """The graph and those inside its nodes."""
    waiting = [graph]
    while waiting:
        one = waiting.pop()
        yield one
        for node in one.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def nodes(model: Any) -> Iterator[Any]:
    """All nodes, also of graphs inside nodes and of the model's own functions."""
    for graph in graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def tensors(model: Any) -> Iterator[Any]:
    """All weights and constants."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    if node.op_type == "Constant" and not attribute.t.name and node.output:
                        attribute.t.name = node.output[0]
                    yield attribute.t


def multiplied(model: Any) -> set[str]:
    """Names of the tensors that are weights of a multiplication, directly or behind a conversion."""
    found: set[str] = set()
    sources: dict[str, str] = {}
    for node in nodes(model):
        if node.op_type in _THROUGH and node.input:
            sources.update(dict.fromkeys(node.output, node.input[0]))
        for index in _MULTIPLYING.get(node.op_type, ()):
            if index < len(node.input):
                found.add(node.input[index])
    waiting = list(found)
    while waiting:
        source = sources.get(waiting.pop())
        if source and source not in found:
            found.add(source)
            waiting.append(source)
    return found


def versions(subject: Subject, model: Any) -> Iterator[Finding]:
    """Of the format and of operator sets, where they are missing or newer than anything here."""
    if not model.ir_version:
        yield Finding(
            "no-ir-version",
            ERROR,
            what="It says no IR version, without which no engine takes it",
            why="Its beginning was lost, or it was written by hand",
            remedy=subject.again,
            where=subject.name,
        )
    elif model.ir_version > onnx.IR_VERSION:
        yield ir_too_new(subject, model.ir_version, onnx.IR_VERSION, f"onnx {onnx.__version__}")
    opsets = {o.domain: o.version for o in model.opset_import}
    used = {node.domain for node in nodes(model)}
    used = {"" if domain == "ai.onnx" else domain for domain in used}
    if missing := used - {"" if domain == "ai.onnx" else domain for domain in opsets}:
        names = ", ".join(sorted(domain or "ai.onnx" for domain in missing))
        yield Finding(
            "no-opset",
            ERROR,
            what=f"It does not say which version of {names} its operators are of",
            why="Its end was cut off, or a tool that changed it forgot to",
            remedy=subject.again,
            where=subject.name,
        )
    newest = onnx.defs.onnx_opset_version()
    version = max(opsets.get("", 0), opsets.get("ai.onnx", 0))
    if version > newest:
        yield opset_too_new(subject, version, newest, f"onnx {onnx.__version__}")


def ir_too_new(subject: Subject, found: int, most: int, who: str) -> Finding:
    return Finding(
        "ir-too-new",
        ERROR,
        what=f"Its IR version is {found}; {who} reads up to {most}",
        why="It was written by a newer onnx than this engine knows",
        remedy="Update onnxruntime, or write the model with an older onnx: set model.ir_version "
        "to that number and save it again",
        where=subject.name,
    )


def opset_too_new(subject: Subject, found: int, most: int, who: str) -> Finding:
    return Finding(
        "opset-too-new",
        ERROR,
        what=f"Its operators are of opset {found}; {who} knows up to {most}",
        why="It was exported with a newer exporter than this engine knows",
        remedy="Update onnxruntime, or export with a lower opset_version (17 suits every engine)",
        where=subject.name,
    )


def unknown(subject: Subject, model: Any) -> Iterator[Finding]:
    """Operators that no engine here has."""
    own = {(function.domain, function.name) for function in model.functions}
    opsets = {o.domain: o.version for o in model.opset_import}
    version = opsets.get("", opsets.get("ai.onnx", 0))
    if not version or version > onnx.defs.onnx_opset_version():
        version = onnx.defs.onnx_opset_version()
    strange: dict[str, str] = {}
    custom: dict[str, str] = {}
    newer: dict[str, int] = {}
    for node in nodes(model):
        if (node.domain, node.op_type) in own:
            continue
        if node.domain in _STANDARD:
            since = _since(node.op_type)
            if since is None:
                strange.setdefault(node.op_type, node.name or next(iter(node.output), ""))
            elif since > version:
                newer.setdefault(node.op_type, since)
        elif (node.domain, node.op_type) not in _of_engine():
            custom.setdefault(f"{node.domain}.{node.op_type}", node.name or next(iter(node.output), ""))
    if strange:
        yield Finding(
            "unknown-operator",
            ERROR,
            what=f"ONNX has no operator {some(strange)}",
            why=_meant(next(iter(strange))),
            remedy="Export the model again with standard operators",
            where=_at(subject, strange),
        )
    if newer:
        yield Finding(
            "operator-too-new",
            ERROR,
            what=f"It uses {some(newer)}, which opset {version} does not have",
            why=f"They came with opset {max(newer.values())}",
            remedy=f"Export it with opset_version={max(newer.values())}, or convert its opset",
            where=subject.name,
        )
    if custom:
        yield Finding(
            "custom-operator",
            ERROR,
            what=f"It needs custom operators: {some(custom)}",
            why="They come with a library of machine code, and none is loaded here",
            remedy="Export the model with standard operators, or run that step outside of the graph",
            where=_at(subject, custom),
        )


def _at(subject: Subject, named: Mapping[str, str]) -> str:
    """`named`: operator → its first node, by its name or output."""
    nodes = some(filter(None, named.values()))
    return f"{subject.name}: {nodes}" if nodes else subject.name


def _meant(operator: str) -> str:
    if ("com.microsoft", operator) in _of_engine():
        return "There is one of that name in the domain com.microsoft, which the node does not name"
    names = {schema.name for schema in onnx.defs.get_all_schemas()}
    if close := difflib.get_close_matches(operator, names, n=1, cutoff=_ALIKE):
        return f"Perhaps {close[0]} is meant"
    return "An exporter invented it for what it could not express"


@lru_cache(4096)
def _since(operator: str) -> int | None:
    """The first opset that has it; None = none."""
    found = [s.since_version for s in _history().get(operator, ())]
    return min(found) if found else None


@lru_cache
def _history() -> dict[str, list[Any]]:
    history: dict[str, list[Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema)
    return history


@lru_cache
def _of_engine() -> frozenset[tuple[str, str]]:
    """Operators of other domains that ONNX Runtime has."""
    from onnxruntime.capi import _pybind_state

    return frozenset((schema.domain, schema.name) for schema in _pybind_state.get_all_operator_schema())
