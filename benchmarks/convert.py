"""Engines and precisions on this processor: which wins depends on the network, so it is measured per network.

    python benchmarks/convert.py [--json FILE]

ONNX Runtime float32, OpenVINO float32 and OpenVINO int8 (NNCF) take turns in one run, one thread each; the
medians of their ratios are what counts. A transformer (random weights, 6 layers of 384) and a vocoder (that
of the Piper voice joe, cut out of its graph).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.utils import Extractor

import bare
import machine
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.openvino import OpenVino
from sonorant.networks.engines.openvino_options import OpenVinoOptions
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.onnx_file import Graph
from sonorant.prepare.convert import openvino

WIDTH, HEADS, LAYERS = 384, 6, 6
ROUNDS = 12
RATIO = "times the speed of ONNX Runtime"
FRAMES = Axis("frames", min=8, typical=200, max=800)


def transformer(folder: Path) -> tuple[Path, Signature]:
    """x [1, frames, WIDTH] → y of the same shape."""
    random, graph = np.random.default_rng(0), Graph()

    def linear(x: str, into: int, out: int) -> str:
        weight = random.normal(0, into**-0.5, (into, out)).astype(np.float32)
        return graph.op(
            "Add", graph.op("MatMul", x, graph.constant(weight)), graph.constant(np.zeros(out, np.float32))
        )

    def norm(x: str) -> str:
        ones, zeros = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
        return graph.op("LayerNormalization", x, graph.constant(ones), graph.constant(zeros), axis=-1)

    def heads(x: str, *order: int) -> str:
        split = graph.op("Reshape", x, graph.constant(np.array([0, 0, HEADS, WIDTH // HEADS])))
        return graph.op("Transpose", split, perm=order)

    x = "x"
    for _ in range(LAYERS):
        q, k, v = (linear(norm(x), WIDTH, WIDTH) for _ in range(3))
        scores = graph.op("MatMul", heads(q, 0, 2, 1, 3), heads(k, 0, 2, 3, 1))
        scores = graph.op("Mul", scores, graph.scalar((WIDTH // HEADS) ** -0.5))
        mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), heads(v, 0, 2, 1, 3))
        mixed = graph.op("Transpose", mixed, perm=(0, 2, 1, 3))
        mixed = graph.op("Reshape", mixed, graph.constant(np.array([0, 0, WIDTH])))
        x = graph.op("Add", x, linear(mixed, WIDTH, WIDTH))
        x = graph.op("Add", x, linear(graph.op("Relu", linear(norm(x), WIDTH, 4 * WIDTH)), 4 * WIDTH, WIDTH))
    x = graph.op("Identity", x, name="y")
    dims = (BATCH, FRAMES, WIDTH)
    signature = Signature((Tensor("x", "float32", dims, -1, 1),), (Tensor("y", "float32", dims),))
    path = folder / "transformer.onnx"
    path.write_bytes(graph.file(signature.inputs, signature.outputs))
    return path, signature


def vocoder(folder: Path) -> tuple[Path, Signature]:
    """latent [1, 256, frames] behind its first convolution → audio, 256 samples a frame."""
    voice = next(bare.folder("piper-joe").glob("*.onnx"))
    latent, frames = "/dec/conv_pre/Conv_output_0", Axis("frames", min=8, typical=100, max=400)
    path = folder / "vocoder.onnx"
    onnx.save(
        Extractor(onnx.shape_inference.infer_shapes(onnx.load(voice))).extract_model([latent], ["output"]),
        path,
    )
    inputs = (Tensor(latent, "float32", (BATCH, 256, frames), -1, 1),)
    return path, Signature(inputs, (Tensor("output", "float32", (BATCH, 1, 1, Axis("samples"))),))


def measured(path: Path, signature: Signature, folder: Path) -> dict[str, Any]:
    """Milliseconds of each engine, interleaved; its size, and its distance from ONNX Runtime's float32."""
    calibration = [signature.example(seed=i) for i in range(8)]
    plain = openvino.convert(path, signature, folder / "f32")
    int8 = openvino.convert(path, signature, folder / "int8", calibration=calibration)
    options = OpenVinoOptions({"INFERENCE_NUM_THREADS": 1})
    engines: dict[str, Engine] = {
        "ONNX Runtime float32": OnnxRuntime(path, OnnxRuntimeOptions({"intra_op_num_threads": 1})),
        "OpenVINO float32": OpenVino(plain.path, options),
        "OpenVINO int8": OpenVino(int8.path, options),
    }
    feeds, times = signature.example(), {name: list[float]() for name in engines}
    outputs = {name: next(iter(engine.prepare(feeds)().values())) for name, engine in engines.items()}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            call = engine.prepare(feeds)
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    reference = outputs["ONNX Runtime float32"]
    return {
        name: {
            "ms": round(1000 * statistics.median(taken), 1),
            RATIO: round(
                statistics.median(a / b for a, b in zip(times["ONNX Runtime float32"], taken, strict=True)), 2
            ),
            "dB": None if outputs[name] is reference else decibels(reference, outputs[name]),
        }
        for name, taken in times.items()
    }


def decibels(reference: Any, found: Any) -> float:
    """Signal to noise."""
    noise = float(np.mean((reference - found) ** 2)) or 1e-20
    return round(10 * float(np.log10(np.mean(reference**2) / noise)), 1)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    found: dict[str, Any] = {"machine": machine.describe("onnxruntime", "openvino", "nncf")}
    with tempfile.TemporaryDirectory() as scratch:
        for make in (transformer, vocoder):
            folder = Path(scratch) / make.__name__
            folder.mkdir()
            found[make.__name__] = measured(*make(folder), folder)
    print(json.dumps(found["machine"]))
    for network in ("transformer", "vocoder"):
        for name, row in found[network].items():
            quality = "" if row["dB"] is None else f"   {row['dB']} dB"
            print(f"{network:12} {name:22} {row['ms']:8.1f} ms {row[RATIO]:6.2f} ×{quality}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
