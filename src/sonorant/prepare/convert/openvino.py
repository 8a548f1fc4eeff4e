"""ONNX → OpenVINO's IR, in float32 or with NNCF's 8 bit quantisation.

Int8 by NNCF wins on transformers and loses on convolutional vocoders (benchmarks/convert.py), so it is
chosen per network by measurement.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from sonorant.confined import Progress, confined, report
from sonorant.errors import EngineError, MissingExtraError, ModelFileError, RequestError
from sonorant.networks.engines.openvino import (
    FLOAT32,
    PRECISION,
    OpenVino,
    in_one_line,
    openvino,
    version,
)
from sonorant.networks.signature import Feeds, Signature
from sonorant.networks.targets import OPENVINO_FILE
from sonorant.prepare import SECONDS
from sonorant.prepare.convert.converted import (
    TOLERANCE,
    Cases,
    Converted,
    beside,
    read_feeds,
    write_feeds,
)
from sonorant.prepare.convert.stft import is_transform, plain

_LAYERS = frozenset({"Convolution", "ConvolutionBackpropData", "GroupConvolution", "MatMul"})
INT8_TOLERANCE = 0.1
"""of the largest output: a sieve against broken graphs; whether it is good enough, the task tells"""


def convert(
    model: Path,
    signature: Signature,
    target: Path,
    *,
    calibration: Sequence[Feeds] = (),
    kept: Collection[str] = (),
    compared: Cases = (),
    tolerance: float | None = None,
    seconds: float = SECONDS,
    memory_bytes: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Write model.xml and model.bin into the folder `target`.

    calibration: real feeds on which ranges of activations are measured: with them it becomes 8 bit.
    kept: nodes of the graph that stay float32. compared: what parity is measured on, instead of feeds made
    from the signature. Raises MissingExtraError without openvino or, for 8 bit, nncf; ModelFileError where
    OpenVINO does not take the model, EngineError where the conversion takes too long or too much memory.
    """
    openvino()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        arguments = {
            "model": str(model.resolve()),
            "target": str(target.resolve() / OPENVINO_FILE),
            "calibration": write_feeds(calibration, Path(scratch) / "feeds.npz") if calibration else "",
            "kept": sorted(kept),
        }
        confined(
            f"{__name__}:write", arguments, title=f"Converting {model.name}",
            seconds=seconds, memory_bytes=memory_bytes, progress=progress,
        )  # fmt: skip
    return beside(
        model,
        signature,
        target / OPENVINO_FILE,
        OpenVino,
        compared=compared,
        tolerance=tolerance if tolerance is not None else INT8_TOLERANCE if calibration else TOLERANCE,
        parts=[(target / OPENVINO_FILE).with_suffix(".bin")],
        notes=("int8 (NNCF)",) if calibration else (),
    )


def write(model: str, target: str, calibration: str, kept: list[str], precision: str = "") -> None:
    """In a child process. `precision`: "bf16", or as the options of the engine say.

    Raises EngineError where this processor does not compute in it.
    """
    ov = openvino()
    if precision and precision.upper() not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EngineError(
            f"This processor does not compute in {precision}",
            why="It has neither AVX512-BF16 nor AMX, and would compute in float32",
            remedy="Prepare on the machine that serves, or choose another recipe",
        )
    report(0.0, "read")
    graph = _read(ov, Path(model))
    if calibration:
        report(0.2, "quantise")
        graph = _quantised(graph, read_feeds(calibration), kept)
    report(0.9, "write")
    if precision:
        graph.set_rt_info(precision, PRECISION)
        graph.set_rt_info(json.dumps(_before_layers(graph)), FLOAT32)
    ov.save_model(graph, target, compress_to_fp16=False)


def _read(ov: Any, model: Path) -> Any:
    """The graph, without what OpenVINO dies of. Raises ModelFileError."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        try:
            read = onnx.load(model)
            if any(node.op_type == "STFT" for node in read.graph.node):
                model = Path(scratch) / model.name
                onnx.save(plain(read), model)
            return ov.Core().read_model(model)
        except Exception as error:  # RuntimeErrors, for the most part
            raise ModelFileError(
                f"OpenVINO {version()} cannot load {model.name}",
                why=in_one_line(error),
                remedy="Run it on ONNX Runtime",
            ) from error


def _before_layers(graph: Any) -> list[str]:
    """What inputs go through up to the first layers, and those, in order.

    Rounded to bfloat16, a spectrogram in decibels is heard: the gate refuses HiFi-GAN then, and passes it so.
    A Fourier transform is not yet a layer: of what comes behind it the rounding counts as much.
    """
    shapes: set[str] = set()
    """weights and what is computed of them and of tensors' shapes"""
    open_: set[str] = set()
    """what no layer has come to yet"""
    found: list[str] = []
    for operator in graph.get_ordered_ops():
        name, kind = operator.get_friendly_name(), operator.get_type_name()
        fed = {value.get_node().get_friendly_name() for value in operator.input_values()}
        if kind == "Parameter":
            open_.add(name)
        elif kind == "ShapeOf" or fed <= shapes:
            shapes.add(name)
        elif kind != "Result" and fed <= shapes | open_:
            found.append(name)
            if kind not in _LAYERS or is_transform(name):
                open_.add(name)
    return found


def _quantised(graph: Any, feeds: list[dict[str, Any]], kept: list[str]) -> Any:
    nncf = _nncf()
    ignored = _operators(graph, kept)
    softmax = any(node.get_type_name() == "Softmax" for node in graph.get_ops())
    return nncf.quantize(
        graph,
        nncf.Dataset(feeds),
        subset_size=len(feeds),
        preset=nncf.QuantizationPreset.MIXED,
        # activations of attention layers have outliers, which this smooths into the weights
        model_type=nncf.ModelType.TRANSFORMER if softmax else None,
        ignored_scope=nncf.IgnoredScope(names=ignored) if ignored else None,
    )


def _operators(graph: Any, kept: list[str]) -> list[str]:
    """What OpenVINO calls the operators of nodes. A layer with a bias becomes two: the second, which adds it,
    has the node's name. Raises RequestError for a node that is not there."""
    known = {operator.get_friendly_name(): operator for operator in graph.get_ops()}
    if unknown := sorted(set(kept) - known.keys()):
        raise RequestError(
            f"The graph has no node {unknown[0]!r} to keep in float32", remedy="Name nodes as the graph does"
        )
    named = list(kept)
    for operator in (known[name] for name in kept if known[name].get_type_name() == "Add"):
        fed = [value.get_node() for value in operator.input_values()]
        named += [each.get_friendly_name() for each in fed if each.get_type_name() in _LAYERS]
    return named


def _nncf() -> Any:
    """The package; `openvino` has seen to it that it reports to nobody."""
    try:
        import nncf
    except ImportError as error:
        raise MissingExtraError(
            "NNCF is not installed, which quantises for OpenVINO",
            remedy='Install it: `pip install "sonorant[openvino]"`',
        ) from error
    return nncf
