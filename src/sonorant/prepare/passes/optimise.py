"""Passes that change how a network is written, not what it computes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.errors import MissingExtraError, PassError
from sonorant.prepare.passes.kind import Material

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR = 21, 10
"""read by ONNX Runtime 1.20, TensorRT 10.9 and OpenVINO 2025, and by everything newer"""


def optimise(model: ModelProto, material: Material) -> ModelProto:
    """ONNX Runtime's offline optimisation, at the level that does not depend on the processor.

    Its other levels write what only the processor and the version run that wrote it; the engine does them
    anyway when it loads the file.
    """
    import onnx
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def slim(model: ModelProto, material: Material) -> ModelProto:
    """Fold constants, merge what is there twice, drop what nothing needs."""
    try:
        import onnxslim
    except ImportError as error:
        raise MissingExtraError(
            "The pass slim needs onnxslim, which is not installed",
            remedy='Install it: `pip install "sonorant[prepare]"`',
        ) from error

    slimmed: ModelProto = onnxslim.slim(model)
    return slimmed


def opset(model: ModelProto, material: Material) -> ModelProto:
    """The model in OPSET, where it is in an older one.

    Raises PassError where ONNX Runtime does not take it then: its optimiser (1.31) moves the DequantizeLinear
    of some networks that are in 8 bits already, and gives it another type.
    """
    from onnx import version_converter

    own = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), OPSET)
    if own < OPSET:
        model = version_converter.convert_version(model, OPSET)
    model.ir_version = IR
    if own < OPSET and (why := _refused(model)):
        raise PassError(
            f"ONNX Runtime takes the network in operator set {own}, and not in {OPSET}",
            why=why,
            remedy="Leave the pass opset out: the publisher's file is read as it is",
        )
    return model


def _refused(model: ModelProto) -> str:
    """What ONNX Runtime has against a graph; "" = nothing."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        return " ".join(str(error).split())[:300]
    return ""
