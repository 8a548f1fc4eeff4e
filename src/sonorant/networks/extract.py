"""Writing the parts of a cut network as models of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sonorant.networks.cut import Boundary, Input, Stage, Uncut
from sonorant.networks.locality import Graph, consumed

if TYPE_CHECKING:
    from onnx import ModelProto

CROPS = "crops"
"""input of a stage: int64 [crops, 2], the frames [first, last) that stay at each crop, counted from the first
one that is left there"""


def part(model: ModelProto, graph: Graph, inputs: Sequence[Input], outputs: Iterable[str]) -> ModelProto:
    """The part of `model` between its own inputs and `inputs`, and `outputs`."""
    import onnx

    given = {tensor.name for tensor in inputs}
    used = [graph.nodes[i] for i in graph.ancestors(outputs, given)]
    names = {name for node in used for name in consumed(node)}
    made = onnx.ModelProto(ir_version=model.ir_version, producer_name="sonorant")
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    made.graph.name = model.graph.name
    made.graph.node.extend(used)
    made.graph.input.extend(v for v in model.graph.input if v.name in names - given - graph.weights.keys())
    made.graph.input.extend(_declared(graph, tensor) for tensor in inputs)
    own = {value.name: value for value in model.graph.output}
    made.graph.output.extend(own.get(name) or onnx.ValueInfoProto(name=name) for name in outputs)
    made.graph.initializer.extend(w for name, w in graph.weights.items() if name in names)
    return made


def stage_part(model: ModelProto, graph: Graph, stage: Stage, crops: Sequence[Boundary]) -> ModelProto:
    """The model of a stage, with its crops."""
    import onnx

    made = part(model, graph, stage.inputs, [stage.output])
    if not crops:
        return made
    del made.graph.node[:]
    renamed: dict[str, str] = {}
    waiting = list(enumerate(crops))
    for i in graph.ancestors([stage.output], [tensor.name for tensor in stage.inputs]):
        while waiting and i >= waiting[0][1].at:
            _crop(made, *waiting.pop(0), Fraction(stage.steps), renamed)
        node = onnx.NodeProto()
        node.CopyFrom(graph.nodes[i])
        node.input[:] = [renamed.get(name, name) for name in node.input]
        made.graph.node.append(node)
    shape = [len(crops), 2]
    made.graph.input.append(onnx.helper.make_tensor_value_info(CROPS, onnx.TensorProto.INT64, shape))
    return made


def _crop(made: ModelProto, number: int, crop: Boundary, hop: Fraction, renamed: dict[str, str]) -> None:
    """Append nodes that crop the tensors of a boundary; the names of what they give enter `renamed`."""
    import numpy as np
    from onnx import helper, numpy_helper

    here = f"{CROPS}/{number}"

    def constant(name: str, value: int | list[int]) -> str:
        made.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), f"{here}/{name}"))
        return f"{here}/{name}"

    def node(kind: str, *inputs: str, to: str, **attributes: Any) -> str:
        made.graph.node.append(helper.make_node(kind, inputs, [f"{here}/{to}"], **attributes))
        return f"{here}/{to}"

    frames = node("Gather", CROPS, constant("row", number), to="frames", axis=0)
    first, last = constant("first", [0]), constant("last", [1])
    for name, demand in crop.open.items():
        per_frame = constant(f"{name}/steps", int(hop / demand.scale))
        steps = node("Mul", frames, per_frame, to=f"{name}/span")
        start = node("Gather", steps, first, to=f"{name}/start", axis=0)
        end = node("Gather", steps, last, to=f"{name}/end", axis=0)
        axis = constant(f"{name}/axis", [demand.axis])
        renamed[name] = node("Slice", renamed.get(name, name), start, end, axis, to=f"{name}/cropped")


def _declared(graph: Graph, tensor: Input) -> Any:
    """The declaration of an input."""
    import onnx

    kind = graph.types.get(tensor.name)
    if kind is None:
        raise Uncut(f"the type of {tensor.name} is not known")
    dims: list[int | str] = [
        size or f"{tensor.name}.{i}" for i, size in enumerate(graph.shape(tensor.name) or ())
    ]
    if tensor.steps:
        dims[tensor.axis] = "frames" if tensor.steps == 1 else f"frames_x_{tensor.steps}"
    return onnx.helper.make_tensor_value_info(tensor.name, kind.tensor_type.elem_type, dims)
