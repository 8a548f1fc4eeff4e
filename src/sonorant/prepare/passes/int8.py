"""Passes to 8 bits: dynamic, where the range of activations is found at each run, and static, where it was
measured on real speech."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.errors import RequestError
from sonorant.networks.signature import Feeds
from sonorant.prepare.passes.kind import Material

if TYPE_CHECKING:
    from onnx import ModelProto

METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
"""how the range of an activation follows from the values that were seen"""


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
    model: ModelProto, material: Material, *, method: str = "minmax", tensorrt: bool = False
) -> ModelProto:
    """MatMul and Conv between QuantizeLinear and DequantizeLinear, per channel.

    `tensorrt`: in the form that TensorRT's parser takes: symmetric activations, weights with their own pair,
    biases left in float32, which the processor's fused kernels want in 32 bits. Raises RequestError where
    there is nothing real to measure ranges on.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if not material.feeds:
        raise RequestError(
            "Ranges of activations can be measured on real speech only, and there is none for this file",
            remedy="Prepare the model by its name or folder, and not one of its files",
        )
    options: dict[str, Any] = {"ActivationSymmetric": tensorrt, "WeightSymmetric": True}
    # one at a time: it stacks what it collects, which arrays of several lengths do not allow
    options["CalibStridedMinMax"] = 1
    if tensorrt:
        options |= {"QuantizeBias": False, "AddQDQPairToWeight": True}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            model,
            path,
            Reader(material.feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Conv"],
            per_channel=True,
            activation_type=QuantType.QInt8 if tensorrt else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(material.kept),
            calibrate_method=getattr(CalibrationMethod, METHODS[method]),
            extra_options=options,
        )
        return onnx.load(path)


class Reader:
    """Feeds, as ONNX Runtime's calibration asks for them."""

    def __init__(self, feeds: Sequence[Feeds]) -> None:
        self._all, self._feeds = feeds, iter(feeds)

    def __len__(self) -> int:
        return len(self._all)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._feeds = iter(self._all[start_index:end_index])

    def get_next(self) -> dict[str, Any] | None:
        feeds = next(self._feeds, None)
        return None if feeds is None else dict(feeds)
