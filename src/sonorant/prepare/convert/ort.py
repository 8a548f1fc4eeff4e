"""ONNX → .ort, ONNX Runtime's own format: loaded without parsing protobuf, and read by its builds for phones
and small boards. Its graph is optimised for the machine's kind of processor, or for all ("basic")."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sonorant.confined import Progress, confined, report
from sonorant.errors import EngineError
from sonorant.networks.engines.onnxruntime import OnnxRuntime, described, failure
from sonorant.networks.signature import Signature
from sonorant.networks.targets import ORT_FILE
from sonorant.prepare import SECONDS
from sonorant.prepare.convert.converted import TOLERANCE, Cases, Converted, beside

LEVELS = {"basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}


def convert(
    model: Path,
    signature: Signature,
    target: Path,
    *,
    level: Literal["basic", "extended", "all"] = "extended",
    compared: Cases = (),
    tolerance: float = TOLERANCE,
    seconds: float = SECONDS,
    memory_bytes: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Write model.ort into the folder `target`.

    level: how far the graph is optimised; "all" also lays weights out for this kind of processor, and the
    file is slow or fails on others. Raises EngineError where ONNX Runtime does not take the model.
    """
    target.mkdir(parents=True, exist_ok=True)
    path = target / ORT_FILE
    arguments = {"model": str(model.resolve()), "target": str(path.resolve()), "level": LEVELS[level]}
    confined(
        f"{__name__}:write", arguments, title=f"Converting {model.name}",
        seconds=seconds, memory_bytes=memory_bytes, progress=progress,
    )  # fmt: skip
    return beside(
        model,
        signature,
        path,
        OnnxRuntime,
        compared=compared,
        tolerance=tolerance,
        engine=described("cpu"),
        notes=(f"graph optimisation: {level}",),
    )


def write(model: str, target: str, level: str) -> None:
    """In a child process."""
    import onnxruntime as ort

    report(0.0, "optimise")
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.optimized_model_filepath = target
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.log_severity_level = 3
    try:
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        raise failure(error) from error
    if not Path(target).exists():
        raise EngineError("ONNX Runtime wrote no .ort file", remedy="Look at the disk, and try again")
