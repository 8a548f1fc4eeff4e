"""ONNX → LiteRT: one .tflite file with a graph for each of several lengths.

LiteRT's graphs have fixed sizes, so what is fed is padded up to one of them, a bucket. Most networks of
speech know no mask, and padding would be heard at their ends: so the graphs are told how much is real, and
mask what lies behind wherever an operator would look at it (apart/translation). A network that mixes time
in a way that cannot be masked is refused, with the operator that does it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.confined import Progress, confined, left, report
from sonorant.errors import ModelFileError
from sonorant.networks.engines.litert import Buckets, LiteRt, interpreter
from sonorant.networks.signature import BATCH, Axis, Signature
from sonorant.networks.targets import LITERT_FILE
from sonorant.prepare import SECONDS
from sonorant.prepare.convert.converted import TOLERANCE, Cases, Converted, beside
from sonorant.prepare.convert.environment import Environment, spoken
from sonorant.prepare.convert.profile import LONGEST, Span
from sonorant.prepare.convert.stft import plain

if TYPE_CHECKING:
    from onnx import ModelProto

ENVIRONMENT = Environment("litert", 3_500_000_000)
SMALLEST = 8
"""the smallest bucket is at least so many times smaller than the usual length"""
AHEAD = 0.5
"""of the progress, where the environment has to be made"""


def convert(
    model: Path,
    signature: Signature,
    target: Path,
    *,
    axes: Mapping[str, Span] | None = None,
    home: Path | None = None,
    compared: Cases = (),
    tolerance: float = TOLERANCE,
    seconds: float = SECONDS,
    memory_bytes: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Write model.tflite, and the description that belongs to it, into the folder `target`.

    axes: axis → three sizes, the buckets, in place of the usual ones. home: where the environment that
    translates is kept (1.6 GB, made at the first call); None = the settings'. seconds: for all of it, the
    environment included. Raises MissingExtraError without ai-edge-litert, ModelFileError where the graph
    cannot be translated, EngineError where the environment cannot be made, or it takes too long or too much
    memory.
    """
    from sonorant.settings import load_settings

    interpreter()
    target.mkdir(parents=True, exist_ok=True)
    path = target / LITERT_FILE
    arguments = {
        "model": str(model.resolve()),
        "target": str(path.resolve()),
        "signature": signature.tree(),
        "axes": dict(axes or {}),
        "home": str(home or load_settings().catalogue.home.expanduser()),
    }
    confined(
        f"{__name__}:write", arguments, title=f"Converting {model.name}",
        seconds=seconds, memory_bytes=memory_bytes, progress=progress,
    )  # fmt: skip
    return beside(model, signature, path, LiteRt, compared=compared, tolerance=tolerance)


def write(
    model: str,
    target: str,
    signature: Mapping[str, object],
    axes: Mapping[str, Span],
    home: str,
) -> list[str]:
    """In a child process: the file `target`, and what it is for; what there is to say of it.

    It ends a little before its owner would end it, so that of an environment that is half made nothing stays.
    """
    declared = Signature.of(signature)
    interpreter()
    buckets = chosen(declared, axes)
    python = ENVIRONMENT.python(Path(home), left(), lambda share, doing: report(AHEAD * share, doing))
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        asked = {
            "target": target,
            "scratch": scratch,
            "inputs": [
                {
                    "name": t.name,
                    "dtype": t.dtype,
                    "padded": [p] if (p := buckets.place(t)) is not None else [],
                }
                for t in declared.inputs
            ],
            "outputs": [tensor.name for tensor in declared.outputs],
            "buckets": list(_graphs(Path(model), buckets, Path(scratch))),
        }
        done = False
        for told in spoken(python, "translation.run:main", asked, left()):
            if "refused" in told:
                raise ModelFileError(
                    f"{Path(model).name} cannot be translated to LiteRT",
                    why=told["refused"],
                    remedy="Run it on ONNX Runtime",
                )
            if "share" in told:
                report(AHEAD + (1 - AHEAD) * told["share"], told["doing"])
            done = done or "done" in told
    if not done or not Path(target).is_file():
        raise ModelFileError(
            f"{Path(model).name} was not translated to LiteRT", remedy="Run it on ONNX Runtime"
        )
    buckets.write(Path(target))
    sizes = (
        f"for {buckets.axis} up to {', '.join(map(str, buckets.sizes))}" if buckets.axis else "for one size"
    )
    return [sizes]


def chosen(signature: Signature, axes: Mapping[str, Span] | None = None) -> Buckets:
    """The lengths that graphs are made for. Raises ModelFileError where more than one axis changes."""
    found = {d.name: d for t in signature.inputs for d in t.dims if isinstance(d, Axis) and d != BATCH}
    if not found:
        return Buckets(signature)
    if len(found) > 1:
        raise ModelFileError(
            f"{', '.join(sorted(found))} change independently of each other",
            why="LiteRT's graphs have fixed sizes, and there would be one for each combination",
            remedy="Run it on ONNX Runtime",
        )
    [axis] = found.values()
    sizes = (axes or {}).get(axis.name) or grid(axis, bool(signature.state))
    return Buckets(signature, axis.name, tuple(sorted(set(sizes))))


def grid(axis: Axis, state: bool) -> tuple[int, ...]:
    """Halves of the longest, down to an eighth of the usual length; with state of the usual one, down to one.

    A network with state is fed more than that piece by piece, and its recurrence is written out step by step.
    """
    usual = max(axis.typical, axis.min)
    longest = usual if state else axis.max if axis.max is not None else LONGEST * usual
    sizes = [longest]
    while sizes[0] > max(axis.min, 1, 0 if state else usual // SMALLEST):
        sizes.insert(0, max(axis.min, -(-sizes[0] // 2)))
    return tuple(sizes)


def _graphs(model: Path, buckets: Buckets, scratch: Path) -> Iterator[dict[str, object]]:
    """Of each bucket: its name, shapes, and the graph with all sizes fixed and folded."""
    import onnx

    graph = plain(onnx.load(model))
    for size in buckets.sizes or (0,):
        shapes = {
            tensor.name: [d if isinstance(d, int) else 1 if d == BATCH else size for d in tensor.dims]
            for tensor in buckets.signature.inputs
        }
        path = scratch / f"{buckets.name(size)}.onnx"
        fixed(graph, shapes, path)
        yield {"name": buckets.name(size), "graph": str(path), "shapes": list(shapes.values())}


def fixed(model: ModelProto, shapes: Mapping[str, list[int]], target: Path) -> None:
    """Set these sizes, and write the graph with what follows from them computed: ONNX Runtime infers it."""
    import onnxruntime as ort

    del model.graph.value_info[:]
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = size
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
