"""How many multiplications a second convolutions get in each precision: the most that 16 or 8 bits can gain.

    pip install 'sonorant[torch,openvino]'
    python benchmarks/precisions.py [--json] [--rounds N]

The residual layers of HiFi-GAN V1 (channels and samples of its four levels, kernels of 3, 7 and 11 samples,
for 1.5 s of sound), without what lies between them, with one thread, in turns: torch eager, ONNX Runtime
and OpenVINO in float32, OpenVINO in bfloat16 and in 8 bits. A whole network cannot gain more than its
convolutions do. Seconds are those of the process, the shortest of each, so that others on the machine
matter less.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import machine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.openvino import OpenVino
from sonorant.networks.engines.openvino_options import OpenVinoOptions
from sonorant.networks.engines.options import OnnxRuntimeOptions

LEVELS = ((256, 1024), (128, 8192), (64, 16384), (32, 32768))
"""channels, and samples of 128 frames"""
KERNELS = (3, 7, 11)
LAYERS = 6
"""of each kernel and level"""


def network(channels: int, kernel: int, eight: bool) -> onnx.ModelProto:
    """x [1, channels, 1, samples] through LAYERS convolutions; `eight` bits or float32."""
    random = np.random.default_rng(kernel)
    nodes, weights, x = [], [], "x"

    def constant(name: str, value: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **values: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **values))
        return output

    for i in range(LAYERS):
        value = random.normal(0, (channels * kernel) ** -0.5, (channels, channels, 1, kernel))
        if eight:
            step = np.float32(np.abs(value).max() / 127)
            scales = {f"s{i}": np.float32(0.05), f"z{i}": np.uint8(128), f"ws{i}": step, f"wz{i}": np.int8(0)}
            for name, scale in scales.items():
                constant(name, scale)
            quantised = constant(f"q{i}", np.round(value / step).astype(np.int8))
            w = node("DequantizeLinear", [quantised, f"ws{i}", f"wz{i}"], f"w{i}")
            x = node("QuantizeLinear", [x, f"s{i}", f"z{i}"], f"xq{i}")
            x = node("DequantizeLinear", [x, f"s{i}", f"z{i}"], f"xd{i}")
        else:
            w = constant(f"w{i}", value.astype(np.float32))
        x = node("Conv", [x, w], f"y{i}", pads=[0, kernel // 2, 0, kernel // 2])
    shape: list[str | int | None] = [1, channels, 1, "samples"]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "layers", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def runs(channels: int, samples: int, kernel: int, folder: Path) -> dict[str, Callable[[], Any]]:
    feed = np.random.default_rng(0).standard_normal((1, channels, 1, samples)).astype(np.float32)
    files = {}
    for eight in (False, True):
        files[eight] = folder / f"{channels}.{kernel}.{eight}.onnx"
        onnx.save(network(channels, kernel, eight), files[eight])
    layers = [
        torch.nn.Conv1d(channels, channels, kernel, padding=kernel // 2, bias=False) for _ in range(LAYERS)
    ]
    eager, heard = torch.nn.Sequential(*layers).eval(), torch.from_numpy(feed[:, :, 0])

    def by_torch() -> None:
        with torch.inference_mode():
            eager(heard)

    found: dict[str, Callable[[], Any]] = {"torch eager": by_torch}
    one = OnnxRuntime(files[False], OnnxRuntimeOptions({"intra_op_num_threads": 1}))
    found["ONNX Runtime, float32"] = one.prepare({"x": feed})
    for name, eight, hint in (
        ("float32", False, "f32"),
        ("bfloat16", False, "bf16"),
        ("8 bits", True, "f32"),
    ):
        options = OpenVinoOptions({"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint})
        found[f"OpenVINO, {name}"] = OpenVino(files[eight], options).prepare({"x": feed})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Convolutions in each precision.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seconds: dict[str, float] = {}
    multiplications = 0
    with tempfile.TemporaryDirectory() as name:
        for channels, samples in LEVELS:
            for kernel in KERNELS:
                found = runs(channels, samples, kernel, Path(name))
                best = dict.fromkeys(found, float("inf"))
                for _ in range(options.rounds):
                    for what, run in found.items():
                        began = time.process_time()
                        run()
                        best[what] = min(best[what], time.process_time() - began)
                for what, shortest in best.items():
                    seconds[what] = seconds.get(what, 0.0) + shortest
                multiplications += LAYERS * channels * channels * kernel * samples
    rows = [
        {
            "what": what,
            "billions a second": round(multiplications / spent / 1e9, 1),
            "times torch eager": round(seconds["torch eager"] / spent, 2),
        }
        for what, spent in seconds.items()
    ]
    machine.show(machine.describe("torch", "onnxruntime", "openvino"), rows, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
