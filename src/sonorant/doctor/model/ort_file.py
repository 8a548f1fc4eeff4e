"""Looking into an .ort file."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import Facts, Seen, Subject
from sonorant.doctor.model.weights import Ward
from sonorant.networks import ort_format

_WEIGHTS = ("Conv", "MatMul", "Gemm", "Gather", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul")


def look(subject: Subject) -> Iterator[Seen]:
    """Its operators and weights, those of both branches of an If."""
    ward, operators = Ward(), Counter[str]()
    try:
        for branch in ("then_branch", "else_branch"):
            graph = ort_format.read(subject.path, branch)
            operators |= Counter(node.op for node in graph.nodes.values())
            multiplied = {
                name for node in graph.nodes.values() if node.op in _WEIGHTS for name in node.inputs
            }
            for name, array in graph.weights.items():
                ward.admit(name, array, weight=name in multiplied and array.ndim > 1)
            if not any(node.op == "If" for node in graph.nodes.values()):
                break
            ward, first = Ward(), ward
            ward.nan += first.nan
            ward.zero += first.zero
    except (ValueError, struct.error, IndexError, TypeError, MemoryError) as error:
        yield truncated(subject, f"What it refers to lies beyond its {subject.size} bytes: {error}")
        return
    yield Facts(
        file=subject.name,
        kind="ORT",
        bytes=subject.size,
        operators=dict(operators.most_common()),
        parameters=ward.parameters,
        dtypes=ward.dtypes,
    )
    yield from ward.findings(subject)
