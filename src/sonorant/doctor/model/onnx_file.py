"""Looking into an .onnx file: is it whole, what is it, and do its weights and operators hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from sonorant.doctor.model import external, operators, protobuf, tensorrt, wiring
from sonorant.doctor.model.faults import damaged, truncated, weights_size
from sonorant.doctor.model.finding import ERROR, NOTE, Facts, Finding, Seen, Subject, Target, some
from sonorant.doctor.model.weights import Ward

LARGEST = (1 << 31) - 1
"""bytes of a protobuf message"""
_DYNAMIC = (
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
    "MatMulInteger",
    "ConvInteger",
)
"""what quantize_dynamic leaves in a graph; TensorRT's parser has none of them"""


def look(subject: Subject, target: Target) -> Iterator[Seen]:
    """What is to be said of it."""
    size = subject.size
    with subject.path.open("rb") as stream:
        outline = protobuf.outline_of(stream, size)
    if outline.end > size:
        yield truncated(subject, f"It needs {outline.end} bytes by its own account and has {size}")
        return
    if size > LARGEST:
        yield Finding(
            "too-large",
            ERROR,
            what="The file is larger than 2 GiB, which no reader of ONNX takes",
            why="Protocol Buffers messages end there",
            remedy="Export it with its weights in a file of their own (external data)",
            where=subject.name,
        )
        return
    model = onnx.ModelProto()
    try:
        if outline.strange:
            raise ValueError(f"no model has what stands at byte {outline.end}")
        model.ParseFromString(subject.path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, of whichever of its implementations
        yield damaged(subject, str(error))
        return
    yield from _opened(subject, model, outline, target)


def _opened(subject: Subject, model: Any, outline: protobuf.Outline, target: Target) -> Iterator[Seen]:
    if protobuf.GRAPH not in outline.fields or not (model.graph.node or model.graph.output):
        yield Finding(
            "no-graph",
            ERROR,
            what="It holds no graph",
            why="The file was cut off or its export failed half way",
            remedy=subject.again,
            where=subject.name,
        )
        return
    ward = Ward()
    absent = external.absent(subject, model)
    faults = [
        *operators.versions(subject, model),
        *operators.unknown(subject, model),
        *wiring.loose_ends(subject, model),
        *absent,
    ]
    if not faults:
        faults += wiring.baked(subject, model)
    faults += _weigh(subject, model, ward, beside=not absent)
    faults += _dynamic(subject, model, target.engine)
    if target.engine == "tensorrt" and not any(fault.severity == ERROR for fault in faults):
        faults += tensorrt.refused(subject, target)
    yield _facts(subject, model, ward)
    yield from faults


def _weigh(subject: Subject, model: Any, ward: Ward, *, beside: bool) -> Iterator[Finding]:
    """Every tensor's size, and its values. `beside`: also of those in files of their own."""
    wrong = []
    foreign: dict[str, int] = {}
    multiplied = operators.multiplied(model)
    for tensor in operators.tensors(model):
        if tensor.data_type not in onnx.TensorProto.DataType.values():
            foreign[tensor.name or "a constant"] = tensor.data_type
            continue
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            array = external.mapped(subject, tensor) if beside else None
            if array is None:
                continue
        else:
            try:
                array = numpy_helper.to_array(tensor)
            except Exception:  # numpy, onnx and ml_dtypes each raise their own
                wrong.append(tensor.name or "a constant")
                continue
        if array.dtype.kind not in "OUS":
            ward.admit(tensor.name, array, weight=tensor.name in multiplied and array.ndim > 1)
    if foreign:
        yield Finding(
            "unknown-type",
            ERROR,
            what=f"{len(foreign)} tensors are of a data type that onnx {onnx.__version__} does not know: "
            f"{some(map(str, dict.fromkeys(foreign.values())))}",
            why="A newer onnx wrote them, or the byte that tells the type is damaged",
            remedy="Export it with types that engines here compute (float32, float16, int64 …); "
            "where it was downloaded so, fetch it again",
            where=f"{subject.name}: {some(foreign)}",
        )
    if wrong:
        yield weights_size(subject, wrong)
    yield from ward.findings(subject)


def _dynamic(subject: Subject, model: Any, engine: str) -> Iterator[Finding]:
    found = Counter(node.op_type for node in operators.nodes(model) if node.op_type in _DYNAMIC)
    if found:
        yield Finding(
            "dynamic-quantised",
            ERROR if engine == "tensorrt" else NOTE,
            what="It is quantised dynamically, which TensorRT cannot take",
            why=f"TensorRT's ONNX parser has no {', '.join(found)}",
            remedy="For TensorRT prepare the float32 model with int8 as QDQ or with float16; "
            "for ONNX Runtime on a CPU use it as it is",
            where=subject.name,
        )


def _facts(subject: Subject, model: Any, ward: Ward) -> Facts:
    weights = {tensor.name for tensor in model.graph.initializer}
    counted = Counter(
        node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        for node in operators.nodes(model)
    )
    return Facts(
        file=subject.name,
        kind="ONNX",
        bytes=subject.size + sum(external.sizes(subject, model).values()),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        ir=model.ir_version,
        opset={o.domain or "ai.onnx": o.version for o in model.opset_import},
        operators=dict(counted.most_common()),
        parameters=ward.parameters,
        dtypes=ward.dtypes,
        inputs=tuple(_declared(value) for value in model.graph.input if value.name not in weights),
        outputs=tuple(_declared(value) for value in model.graph.output),
    )


def _declared(value: Any) -> str:
    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except (KeyError, TypeError):
        dtype = "?"
    dims = [d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in tensor.shape.dim]
    return f"{value.name}: {dtype} [{', '.join(dims)}]"
