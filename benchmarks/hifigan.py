"""HiFi-GAN from torch to ONNX: how fast each way to compute it is, and how far from torch it comes.

    pip install 'sonorant[torch]'
    python benchmarks/hifigan.py [--json] [--rounds N] [NAME=FILE …]

The universal V1 generator on the mel spectrogram of real speech, in turns: torch eager with one thread and as
torch is by default, the export by `sonorant.prepare` with one thread and with as many as there are cores, and
further files of the same signature, .onnx or OpenVINO's .xml, such as prepared ones. Ratios are of the
shortest runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

import machine
from recordings import real_speech
from sonorant.audio.features import LogMel
from sonorant.audio.resample import Resampler
from sonorant.catalogue import Catalogue
from sonorant.families.hifigan.config import Config, parse
from sonorant.families.hifigan.networks import signature
from sonorant.families.hifigan.pipeline import generator
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.openvino import OpenVino
from sonorant.networks.engines.openvino_options import OpenVinoOptions
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.engines.torch import computed, load_module
from sonorant.prepare.export import export
from sonorant.settings import load_settings

FRAMES = 128
"""of each run: 1.5 s"""
CORES = os.cpu_count() or 1

Array = NDArray[np.float32]


def features(config: Config) -> LogMel:
    """What the generator was trained on."""
    return LogMel(
        sample_rate=config.sampling_rate,
        n_fft=config.n_fft,
        hop=config.hop_size,
        window=config.win_size,
        bins=config.num_mels,
        low=config.fmin,
        high=config.fmax,
    )


def mel_of(samples: Array, config: Config) -> Array:
    """float32 [bins, frames]"""
    recipe = features(config)
    return np.concatenate([recipe.process(samples), recipe.flush()], axis=1)


def speech(config: Config) -> Array:
    """A reading, at the generator's rate."""
    samples, rate = soundfile.read(real_speech()[0].path, dtype="float32")
    resampler = Resampler(rate, config.sampling_rate)
    return np.concatenate([resampler.process(samples), resampler.flush()])


def engine_on(file: Path, threads: int) -> Engine:
    if file.suffix == ".xml":
        return OpenVino(file, OpenVinoOptions({"INFERENCE_NUM_THREADS": threads}))
    return OnnxRuntime(file, OnnxRuntimeOptions({"intra_op_num_threads": threads}))


def threaded(threads: int, run: Callable[[], Any]) -> Callable[[], Any]:
    """torch's number of threads holds for the process, and is set before each run."""

    def ran() -> Any:
        torch.set_num_threads(threads)
        return run()

    return ran


def main() -> int:
    parser = argparse.ArgumentParser(description="HiFi-GAN, torch and ONNX.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("others", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each run: 86 are a second")
    options = parser.parse_args()
    default = torch.get_num_threads()
    catalogue = Catalogue(load_settings().catalogue)
    folder = catalogue.ensure(catalogue.find("hifigan"))
    text = (folder / "config.json").read_text()
    config, declared = parse(text), signature(parse(text))
    module = load_module(folder / "generator_universal.pth.tar", lambda: generator(text)).eval()
    mel = mel_of(speech(config), config)[np.newaxis, :, : options.frames]

    def eager() -> Array:
        audio: Array = computed(module, {"mel": mel}, ["audio"])["audio"]
        return audio

    runs: dict[str, Callable[[], Any]] = {
        "torch eager, 1 thread": threaded(1, eager),
        f"torch eager, by default ({default} threads)": threaded(default, eager),
    }
    with tempfile.TemporaryDirectory() as made:
        exported = export(module, declared, Path(made) / "model.onnx")
        files = {f"export by {exported.exporter}": Path(made) / "model.onnx"}
        files |= {name: Path(file) for name, _, file in (other.partition("=") for other in options.others)}
        for name, file in files.items():
            for threads in sorted({1, CORES}):
                call = engine_on(file, threads).prepare({"mel": mel})
                runs[f"{name}, {threads} thread{'s' * (threads > 1)}"] = call
        reference = eager()
        seconds = dict.fromkeys(runs, float("inf"))
        found: dict[str, Array] = {}
        for _ in range(options.rounds):
            for name, run in runs.items():
                began = time.perf_counter()
                outputs = run()
                seconds[name] = min(seconds[name], time.perf_counter() - began)
                found[name] = outputs["audio"] if isinstance(outputs, dict) else outputs
    audio_seconds = options.frames * config.hop_size / config.sampling_rate
    heard = mel_of(reference[0, 0], config)
    rows = [
        {
            "what": name,
            "RTF": round(seconds[name] / audio_seconds, 3),
            "times torch with 1 thread": round(seconds["torch eager, 1 thread"] / seconds[name], 2),
            "largest difference": float(f"{np.abs(found[name] - reference).max():.2g}"),
            "log mel distance": round(float(np.abs(mel_of(found[name][0, 0], config) - heard).mean()), 4),
        }
        for name in runs
    ]
    machine.show(machine.describe("sonorant", "torch", "onnxruntime", "onnx", "numpy"), rows, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
