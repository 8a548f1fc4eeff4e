"""Looking into a .tflite file (tensorflow/lite/schema/schema.fbs)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator

import numpy as np

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import ERROR, Facts, Finding, Seen, Subject, some
from sonorant.doctor.model.weights import Ward
from sonorant.networks.flatbuffer import Table

_CUSTOM = 32
"""BuiltinOperator.CUSTOM"""
_DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}


def look(subject: Subject) -> Iterator[Seen]:
    """Its operators, tensors and weights."""
    data = subject.path.read_bytes()
    ward, operators, custom = Ward(), Counter[str](), []
    inputs: list[str] = []
    outputs: list[str] = []
    try:
        model = Table.root(data)
        names = []
        for code in model.tables(1):
            kind = max(code.number(0, "<b"), code.number(3, "<i"))
            names.append(code.text(1) or "a custom operator" if kind == _CUSTOM else f"builtin {kind}")
            custom += [names[-1]] if kind == _CUSTOM else []
        buffers = list(model.tables(4))
        for graph in model.tables(2):
            tensors = list(graph.tables(0))
            operators.update(names[operator.number(0, "<I")] for operator in graph.tables(3))
            inputs += [_declared(tensors[i]) for i in graph.numbers(1, "i")]
            outputs += [_declared(tensors[i]) for i in graph.numbers(2, "i")]
            for tensor in tensors:
                _weigh(tensor, buffers, ward)
        if not operators:
            raise ValueError("it holds no graph")
    except (ValueError, struct.error, IndexError, TypeError, MemoryError) as error:
        yield truncated(subject, f"What it refers to lies beyond its {subject.size} bytes: {error}")
        return
    yield Facts(
        file=subject.name,
        kind="LiteRT",
        bytes=subject.size,
        producer=model.text(3),
        operators=dict(operators.most_common()),
        parameters=ward.parameters,
        dtypes=ward.dtypes,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
    )
    if custom:
        yield Finding(
            "custom-operator",
            ERROR,
            what=f"It needs custom operators: {some(custom)}",
            why="They are no part of LiteRT; those named Flex… are TensorFlow's own",
            remedy="Convert the model again with built-in operators only (TFLITE_BUILTINS)",
            where=subject.name,
        )
    yield from ward.findings(subject)


def _declared(tensor: Table) -> str:
    dims = tensor.numbers(7, "i") or tensor.numbers(0, "i")
    return f"{tensor.text(3)}: {_DTYPES.get(tensor.number(1, '<b'), '?')} [{', '.join(map(str, dims))}]"


def _weigh(tensor: Table, buffers: list[Table], ward: Ward) -> None:
    buffer = buffers[tensor.number(2, "<I")]
    dtype = _DTYPES.get(tensor.number(1, "<b"))
    if dtype is None or not buffer.has(0):
        return
    array = buffer.raw(0, np.dtype(dtype))
    shape = tensor.numbers(0, "i")
    if array.size:
        ward.admit(tensor.text(3), array, weight=len(shape) > 1)
