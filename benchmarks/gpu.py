"""What a GPU gains, on one machine with one, in one run.

    python benchmarks/gpu.py prepare [--json FILE] [--rounds 30]

Against torch eager in float32: CUDA graphs, float16, both, and torch.compile, for a small transformer and
a small vocoder; ONNX Runtime's CUDA provider (onnxruntime-gpu) where it is installed, and several calls at
once on streams of their own. Without a GPU it says so and ends with exit code 2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import machine
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.torch import Torch
from sonorant.networks.engines.torch_options import TorchOptions

FRAMES = Axis("frames", min=8, typical=200, max=800)
STREAMS = (1, 2, 4)
VARIANTS = {
    "torch eager": TorchOptions(),
    "CUDA graphs": TorchOptions(cuda_graphs=True),
    "float16": TorchOptions(autocast="float16"),
    "float16 + CUDA graphs": TorchOptions(autocast="float16", cuda_graphs=True),
    "torch.compile": TorchOptions(compile="default"),
}


def transformer() -> Any:
    from torch import nn

    layer = nn.TransformerEncoderLayer(384, 6, 1536, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    forward = encoder.forward
    encoder.forward = lambda x: forward(x)  # the signature's name for its one argument
    return encoder


def vocoder() -> Any:
    from torch import nn

    layers: list[Any] = [nn.Conv1d(80, 256, 7, padding=3)]
    for channels, by in ((256, 8), (128, 8), (64, 4)):
        half = channels // 2
        layers += [nn.LeakyReLU(0.1), nn.ConvTranspose1d(channels, half, 2 * by, by, by // 2)]
        for dilation in (1, 3, 5):
            layers += [nn.LeakyReLU(0.1), nn.Conv1d(half, half, 7, padding=3 * dilation, dilation=dilation)]
    layers += [nn.LeakyReLU(0.1), nn.Conv1d(32, 1, 7, padding=3), nn.Tanh()]
    module = nn.Sequential(*layers)
    forward = module.forward
    module.forward = lambda x: forward(x)
    return module


NETWORKS: dict[str, tuple[Callable[[], Any], Signature]] = {
    "transformer": (
        transformer,
        Signature(
            (Tensor("x", "float32", (BATCH, FRAMES, 384), -1, 1),),
            (Tensor("y", "float32", (BATCH, FRAMES, 384)),),
        ),
    ),
    "vocoder": (
        vocoder,
        Signature(
            (Tensor("x", "float32", (BATCH, 80, FRAMES), -1, 1),),
            (Tensor("y", "float32", (BATCH, 1, Axis("samples"))),),
        ),
    ),
}


def prepare(device: str, rounds: int) -> dict[str, Any]:
    """Every network by every variant, which take turns."""
    import torch

    found: dict[str, Any] = {}
    for name, (build, signature) in NETWORKS.items():
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "weights.pt"
            torch.save(build().state_dict(), checkpoint)
            runs: dict[str, Any] = {
                variant: Torch(checkpoint, build, signature, device, options)
                for variant, options in VARIANTS.items()
            }
            if provider := onnxruntime_cuda(build, signature, Path(folder), device):
                runs["ONNX Runtime CUDA"] = provider
            found[name] = compared(runs, signature, rounds)
            found[name]["calls at once"] = together(runs["float16"], signature, rounds)
    return found


def compared(engines: dict[str, Any], signature: Signature, rounds: int) -> dict[str, Any]:
    """Median milliseconds, feeds and outputs copied included, and the distance from eager float32."""
    feeds = signature.example()
    outputs = {name: engine.prepare(feeds)()["y"] for name, engine in engines.items()}
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            times[name].append(seconds(engine.prepare(feeds)))
    eager, reference = times["torch eager"], outputs["torch eager"]
    rows: dict[str, Any] = {}
    for name, taken in times.items():
        noise = float(np.mean((reference - outputs[name]) ** 2)) or 1e-20
        rows[name] = {
            "ms": round(1000 * statistics.median(taken), 3),
            "times the speed of eager": round(
                statistics.median(a / b for a, b in zip(eager, taken, strict=True)), 2
            ),
            "dB": round(10 * float(np.log10(np.mean(reference**2) / noise)), 1),
            "finite": bool(np.isfinite(outputs[name]).all()),
        }
    return rows


def together(engine: Any, signature: Signature, rounds: int) -> dict[str, float]:
    """Runs a second, by threads that each have a CUDA stream of their own."""
    import torch

    feeds, found = signature.example(), {}
    for count in STREAMS:

        def work() -> None:
            with torch.cuda.stream(torch.cuda.Stream()):
                for _ in range(rounds):
                    engine.prepare(feeds)()

        threads = [threading.Thread(target=work) for _ in range(count)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found[f"{count}"] = round(count * rounds / (time.perf_counter() - began), 1)
    return found


def onnxruntime_cuda(build: Callable[[], Any], signature: Signature, folder: Path, device: str) -> Any:
    """None where this ONNX Runtime has no CUDA."""
    import onnxruntime
    import torch

    from sonorant.networks.engines.onnxruntime import OnnxRuntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return None
    module = build().eval()
    module.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    path, (x,) = folder / "network.onnx", [torch.tensor(v) for v in signature.example().values()]
    axis = next(i for i, dim in enumerate(signature.inputs[0].dims) if dim == FRAMES)
    torch.onnx.export(
        module, (x,), path, input_names=["x"], output_names=["y"], opset_version=18, external_data=False,
        dynamic_shapes=({axis: torch.export.Dim("frames", min=8, max=800)},),
    )  # fmt: skip
    return OnnxRuntime(path, device=device)


def seconds(call: Callable[[], Any]) -> float:
    """A run ends when its outputs have been copied back, so no other wait is needed."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def gpu() -> str:
    """Its name; ends the program where there is none."""
    try:
        import torch
    except ImportError:
        print("This measures a GPU through torch, which is not installed: pip install 'sonorant[torch]'")
        sys.exit(2)
    if not torch.cuda.is_available():
        print(f"There is no GPU here that torch {torch.__version__} can use, so there is nothing to measure.")
        sys.exit(2)
    return str(torch.cuda.get_device_name(0))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=["prepare"])
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--rounds", type=int, default=30)
    chosen = arguments.parse_args()
    found: dict[str, Any] = {
        "machine": machine.describe("torch", "onnxruntime-gpu", "onnxruntime") | {"gpu": gpu()}
    }
    found |= prepare("cuda", chosen.rounds)
    print(json.dumps(found["machine"]))
    for network in NETWORKS:
        rows = found[network]
        for name, row in rows.items():
            if name == "calls at once":
                print(f"{network:12} float16, runs/s by 1, 2, 4 streams: {', '.join(map(str, row.values()))}")
                continue
            broken = "" if row["finite"] else "   NOT FINITE"
            print(
                f"{network:12} {name:22} {row['ms']:9.3f} ms {row['times the speed of eager']:6.2f} × "
                f"{row['dB']:6.1f} dB{broken}"
            )
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
