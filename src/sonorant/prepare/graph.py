"""The signature of a bare .onnx file: what its graph declares, and what a few runs tell of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.errors import EngineError, ModelFileError, RequestError
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.signature import BATCH, Axis, Signature, Tensor
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto

USUAL = (100, 64, 256, 512, 16_000, 32, 1)
"""sizes that are tried for the free axes"""
SMALLEST = (1, 2, 3, 4, 5, 8, 16, 32, 48)
_ROWS = ("batch", "batch_size", "b", "n", "bs", "num_batch")
"""names of the first dimension, in lower case"""
_LENGTH = ("length", "len")
"""words in the names of inputs that say how much of the others is real"""
_PASSING = ("Cast", "Unsqueeze", "Squeeze", "Identity", "Reshape")


def opened(path: Path, options: OnnxRuntimeOptions, device: str) -> OnnxRuntime:
    """An engine of a user's own file. Raises RequestError where there is none, or ModelFileError."""
    if not path.is_file():
        raise RequestError(f"There is no file {path}", remedy="Check the path", param="model")
    try:
        return OnnxRuntime(path, options, device)
    except ModelFileError as error:  # it came from no catalogue: pulling a model again does not mend it
        remedy = f"`sonorant doctor {path}` tells what is wrong with it"
        raise ModelFileError(error.what, why=error.why, remedy=remedy) from error


def subject(path: Path, sizes: Mapping[str, int] | None = None, device: str = "cpu") -> Subject:
    """A file as it lies there. `sizes`: of axes by name, where the usual ones do not suit.

    Raises ModelFileError for what this engine does not run, RequestError for an axis that is not there.
    """
    import onnx

    engine = opened(path, OnnxRuntimeOptions({"log_severity_level": 4}), device)
    model = onnx.load(path, load_external_data=False)
    inputs = tuple(_ranged(_named(tensor), model) for tensor in engine.inputs)
    found = Signature(inputs, tuple(map(_named, engine.outputs)))
    axes = {d.name: d for t in inputs for d in t.dims if isinstance(d, Axis)}
    for name in sizes or {}:
        if name not in axes:
            raise RequestError(
                f"{path.name} has no axis {name!r}",
                remedy=f"Its axes: {', '.join(axes) or 'none, all sizes are fixed'}",
                param="size",
            )
    for usual in _tried(found, sizes or {}):
        if _runs(engine, usual, "typical"):
            smallest = next(s for s in _smallest(usual) if _runs(engine, s, "min"))
            engine.close()
            return Subject(path.stem, path, _with_lengths(smallest))
    raise ModelFileError(
        f"{path.name} runs at none of the sizes that were tried: {', '.join(map(str, USUAL))}",
        why=f"It takes {', '.join(map(str, found.inputs))}",
        remedy="Say how large its inputs are: --size AXIS=NUMBER",
    )


def _named(tensor: Tensor) -> Tensor:
    """Its free dimensions as axes, each with a name; the first is that of a batch where it is called so."""
    dims: list[int | Axis] = []
    for i, dim in enumerate(tensor.dims):
        if not isinstance(dim, Axis):
            dims.append(dim)
        elif i == 0 and dim.name.lower() in _ROWS:
            dims.append(BATCH)
        else:
            dims.append(Axis(dim.name if dim.name != "?" else f"{tensor.name}.{i}"))
    return replace(tensor, dims=tuple(dims))


def _ranged(tensor: Tensor, model: ModelProto) -> Tensor:
    """With the values that it may take: rows of the table that it chooses from, or what a signal is."""
    if tensor.dtype in ("int64", "int32"):
        return replace(tensor, low=0, high=_rows(tensor.name, model) - 1)
    return replace(tensor, low=-1, high=1) if tensor.dtype.startswith("float") else tensor


def _rows(name: str, model: ModelProto) -> int:
    """Of the table whose rows an input chooses; 2 where it chooses none."""
    weights = {weight.name: weight for weight in model.graph.initializer}
    reached = {name}
    for node in model.graph.node:
        if node.op_type == "Gather" and len(node.input) > 1 and node.input[1] in reached:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            if axis == 0 and node.input[0] in weights:
                return int(weights[node.input[0]].dims[0])
        elif node.op_type in _PASSING and node.input[0] in reached:
            reached |= set(node.output)
    return 2


def _with_lengths(signature: Signature) -> Signature:
    """Inputs that say by their names how long another is."""
    axes = [d for t in signature.inputs for d in t.dims if isinstance(d, Axis) and d != BATCH]
    names = list(dict.fromkeys(axis.name for axis in axes))
    inputs = [
        replace(t, lengths_of=names[0], low=1, high=None)
        if len(names) == 1
        and t.dtype.startswith("int")
        and len(t.dims) == 1
        and any(word in t.name.lower() for word in _LENGTH)
        else t
        for t in signature.inputs
    ]
    return replace(signature, inputs=tuple(inputs))


def _tried(signature: Signature, sizes: Mapping[str, int]) -> Iterator[Signature]:
    for size in USUAL:
        yield _sized(signature, {"typical": size}, sizes)


def _smallest(signature: Signature) -> Iterator[Signature]:
    for size in SMALLEST:
        yield _sized(signature, {"min": size}, {})
    yield _sized(signature, {}, {}, whole=True)


def _sized(
    signature: Signature, change: Mapping[str, int], sizes: Mapping[str, int], *, whole: bool = False
) -> Signature:
    """Every free axis changed; `whole`: at least its usual size."""

    def axis(dim: int | Axis) -> int | Axis:
        if not isinstance(dim, Axis) or dim == BATCH:
            return dim
        if whole:
            return replace(dim, min=dim.typical)
        if dim.name in sizes:
            return replace(dim, typical=sizes[dim.name])
        return replace(dim, min=change.get("min", dim.min), typical=change.get("typical", dim.typical))

    inputs = tuple(replace(t, dims=tuple(map(axis, t.dims))) for t in signature.inputs)
    return replace(signature, inputs=inputs)


def _runs(engine: OnnxRuntime, signature: Signature, size: str) -> bool:
    found = _with_lengths(signature)
    try:
        feeds = found.example(size="min" if size == "min" else "typical")
        engine.prepare(feeds, large=True)()
    except EngineError:
        return False
    return True
