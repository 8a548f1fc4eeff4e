"""Passes to 8 bits: dynamic, where the range of activations is found at each run, and static, where it was
measured on real speech before."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sonorant.networks.signature import Feeds
from sonorant.prepare.passes import ranges
from sonorant.prepare.passes.kind import Material

if TYPE_CHECKING:
    from onnx import ModelProto

LEAST = "least"
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
"""how the range of an activation follows from the values that were seen: ONNX Runtime's ways, and LEAST, by
which the error is least"""
_LAYERS = ("MatMul", "Conv")


def dynamic(model: ModelProto, material: Material) -> ModelProto:
    """MatMul and Gemm, per channel. With convolutions a vocoder became three times slower."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(material.kept),
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return onnx.load(path)


def static(
    model: ModelProto, material: Material, *, method: str = LEAST, tensorrt: bool = False
) -> ModelProto:
    """MatMul and Conv between QuantizeLinear and DequantizeLinear, per channel.

    `tensorrt`: in the form that TensorRT's parser takes: symmetric activations, weights with their own pair,
    biases left in float32, which the processor's fused kernels want in 32 bits. Raises RequestError where
    there is nothing real to measure ranges on.
    """
    from onnxruntime.quantization import QDQQuantizer, QuantType

    seen = material.seen or ranges_of(model, material, method=method)
    options: dict[str, Any] = {"ActivationSymmetric": tensorrt, "WeightSymmetric": True}
    if tensorrt:
        options |= {"QuantizeBias": False, "AddQDQPairToWeight": True}
    # what quantize_static does once it has the ranges, which it would measure again for every version
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if tensorrt else QuantType.QUInt8,
        tensors_range=seen,
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(material.kept),
        op_types_to_quantize=list(_LAYERS),
        extra_options=options,
    )
    quantizer.quantize_model()
    quantised: ModelProto = quantizer.model.model
    return quantised


def ranges_of(model: ModelProto, material: Material, *, method: str = LEAST) -> object:
    """The ranges of activations, as ONNX Runtime's quantiser takes them. Raises RequestError as `static`."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorData, TensorsData, create_calibrator

    feeds = ranges.spread(ranges.real(material.feeds))
    if method == LEAST:
        found = {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in ranges.least(model, feeds, _activations(model)).items()
        }
        return TensorsData(CalibrationMethod.MinMax, found)
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        calibrator = create_calibrator(
            path,
            list(_LAYERS),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=getattr(CalibrationMethod, METHODS[method]),
        )
        for each in feeds:  # one at a time: it stacks what it collects, which several lengths do not allow
            calibrator.collect_data(Reader([each]))
        return calibrator.compute_data()


def _activations(model: ModelProto) -> list[str]:
    """What layers take and give."""
    weights = {weight.name for weight in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in _LAYERS]
    names = [name for node in layers for name in (*node.input[:2], node.output[0])]
    return [name for name in dict.fromkeys(names) if name and name not in weights]


class Reader:
    """Feeds, as ONNX Runtime's calibration asks for them."""

    def __init__(self, feeds: Sequence[Feeds]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        feeds = next(self._feeds, None)
        return None if feeds is None else dict(feeds)
