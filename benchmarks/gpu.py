"""What a GPU gains, on one machine with one, in one run.

    python benchmarks/gpu.py prepare [--json FILE] [--rounds 30] [--hifigan FOLDER] [--mel FILE.npy]
    python benchmarks/gpu.py engines [--json FILE] [--rounds 30] [--hifigan FOLDER] [--mel FILE.npy]

`prepare`: against torch eager in float32, CUDA graphs, float16, both, and torch.compile, and several calls at
once on streams of their own. `engines`: ONNX Runtime's CUDA provider (onnxruntime-gpu) by its options, at
lengths that it has not seen, in batches, and several runs at once. For a small transformer and a small
vocoder of random weights, and HiFi-GAN's official checkpoint where its folder is given. Without a GPU it says
so and ends with exit code 2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import gpu_engines
import machine
from gpu_engines import STREAMS, Subject, at_once, decibels, in_turns
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.torch import Torch, load_module
from sonorant.networks.engines.torch_options import TorchOptions

FRAMES = Axis("frames", min=8, typical=200, max=800)
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


def subjects(folder: Path, hifigan: Path | None, mel: Path | None) -> Iterator[Subject]:
    """The two of random weights, and HiFi-GAN's official checkpoint on a mel spectrogram [80, frames]."""
    import torch

    for name, (build, signature) in NETWORKS.items():
        torch.manual_seed(0)
        checkpoint = folder / f"{name}.pt"
        torch.save(build().state_dict(), checkpoint)
        yield Subject(name, build, signature, checkpoint, signature.example())
    if hifigan is not None:
        from sonorant.families.hifigan.config import parse
        from sonorant.families.hifigan.layout import find
        from sonorant.families.hifigan.networks import signature as declared
        from sonorant.families.hifigan.pipeline import generator

        found = find(hifigan)
        assert found is not None, f"{hifigan} is no folder of HiFi-GAN's"
        text = found[0].read_text()
        signature = declared(parse(text))
        feeds = {"mel": np.load(mel)[np.newaxis]} if mel else signature.example()
        yield Subject("HiFi-GAN", partial(generator, text), signature, found[1], feeds)


def prepare(subject: Subject, rounds: int) -> dict[str, Any]:
    """Every variant, which take turns; then several calls at once. Feeds and outputs are copied each time."""
    engines = {
        variant: Torch(subject.checkpoint, subject.build, subject.signature, "cuda", options)
        for variant, options in VARIANTS.items()
    }
    outputs = {name: subject.output(engine) for name, engine in engines.items()}
    times = in_turns({name: engine.prepare(subject.feeds) for name, engine in engines.items()}, rounds)
    eager, reference = times["torch eager"], outputs["torch eager"]
    rows = {
        name: {
            "ms": round(1000 * statistics.median(taken), 3),
            "times eager": round(statistics.median(a / b for a, b in zip(eager, taken, strict=True)), 2),
            "dB": decibels(reference, outputs[name]),
            "finite": bool(np.isfinite(outputs[name]).all()),
        }
        for name, taken in times.items()
    }
    together = {
        name: {n: round(at_once(engines[name], subject.feeds, n, rounds), 1) for n in STREAMS}
        for name in ("torch eager", "float16", "float16 + CUDA graphs")
    }
    return {"variants": rows, "runs at once, runs/s": together}


def engines(subject: Subject, rounds: int) -> dict[str, Any]:
    """ONNX Runtime on the export that proves right."""
    from sonorant.prepare.export import export

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(load_module(subject.checkpoint, subject.build).eval(), subject.signature, path)
        return gpu_engines.measured(path, subject, rounds)


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
    arguments.add_argument("what", choices=["prepare", "engines"])
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--hifigan", type=Path, help="a folder with its config.json and generator")
    arguments.add_argument("--only", help="one network: transformer, vocoder or HiFi-GAN")
    arguments.add_argument("--mel", type=Path, help="float32 [80, frames] for it")
    chosen = arguments.parse_args()
    facts = machine.describe("torch", "onnxruntime-gpu", "onnxruntime") | {"gpu": gpu()}
    print(json.dumps(facts))
    found: dict[str, Any] = {"machine": facts}
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects(Path(folder), chosen.hifigan, chosen.mel):
            if chosen.only not in (None, subject.name):
                continue
            measure = prepare if chosen.what == "prepare" else engines
            found[subject.name] = measure(subject, chosen.rounds)
            for what, rows in found[subject.name].items():
                for name, row in rows.items():
                    print(f"{subject.name:12} {what:24} {name!s:24} {row}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
