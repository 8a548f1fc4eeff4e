"""ONNX Runtime on a GPU: its options, new lengths, batches, and runs at once."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.errors import EngineError
from sonorant.networks import Signature
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions, Value

BATCHES = (1, 2, 4, 8, 16, 32)
STREAMS = (1, 2, 4)
FRESH = 8
"""lengths that have not been seen before"""
OPTIONS: dict[str, dict[str, Value]] = {
    "as served": {},
    "ONNX Runtime's defaults": {
        "use_tf32": True,
        "cudnn_conv1d_pad_to_nc1d": False,
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "arena_extend_strategy": "kNextPowerOfTwo",
    },
    "use_tf32=1, pad_to_nc1d=0": {"use_tf32": True, "cudnn_conv1d_pad_to_nc1d": False},
    "use_tf32=1": {"use_tf32": True},
    "EXHAUSTIVE": {"cudnn_conv_algo_search": "EXHAUSTIVE"},
    "DEFAULT": {"cudnn_conv_algo_search": "DEFAULT"},
    "prefer_nhwc": {"prefer_nhwc": True},
    "pad_to_nc1d=0": {"cudnn_conv1d_pad_to_nc1d": False},
}
HALVES: dict[str, dict[str, Value]] = {
    "float16": {},
    "float16 DEFAULT": {"cudnn_conv_algo_search": "DEFAULT"},
    "float16 pad_to_nc1d=0": {"cudnn_conv1d_pad_to_nc1d": False},
}
WITHOUT: dict[str, Value] = {"optimization.disable_specified_optimizers": "NchwcTransformer"}
"""a pass for processors that ends the process on some graphs of float16 (ONNX Runtime 1.31.1)"""


@dataclass(frozen=True)
class Subject:
    """What is measured, and on what."""

    name: str
    build: Callable[[], Any]
    signature: Signature
    checkpoint: Path
    feeds: Mapping[str, Any]

    def output(self, engine: Any) -> Any:
        """Its first output."""
        return engine.prepare(self.feeds)()[self.signature.outputs[0].name]

    def longer(self, frames: int) -> dict[str, Any]:
        """Feeds of so many frames more."""
        (tensor,) = self.signature.inputs
        axis = next(i for i, dim in enumerate(tensor.dims) if getattr(dim, "name", "") == "frames")
        value = self.feeds[tensor.name]
        more = np.take(value, np.arange(frames) % value.shape[axis], axis)
        return {tensor.name: np.concatenate([value, more], axis)}


def measured(path: Path, subject: Subject, rounds: int) -> dict[str, Any]:
    """Every set of options in turns, then batches and runs at once as served."""
    reference = subject.output(OnnxRuntime(path))
    engines = {
        name: OnnxRuntime(path, OnnxRuntimeOptions(chosen), "cuda") for name, chosen in OPTIONS.items()
    }
    half = path.with_name("half.onnx")
    half.write_bytes(halved(path))
    for name, chosen in HALVES.items():
        engines[name] = OnnxRuntime(half, OnnxRuntimeOptions(WITHOUT | chosen), "cuda")
    outputs: dict[str, Any] = {}
    failed: dict[str, Any] = {}
    for name, engine in list(engines.items()):
        print(f"{subject.name}: {name}", file=sys.stderr, flush=True)  # what ONNX Runtime warns of is its
        try:
            outputs[name] = subject.output(engine)
        except EngineError as error:
            failed[name] = f"failed: {error.why[-200:]}"
            del engines[name]
    fresh = {name: seconds_of_a_new_length(engine, subject) for name, engine in engines.items()}
    times = in_turns({name: engine.prepare(subject.feeds) for name, engine in engines.items()}, rounds)
    rows = {
        name: {
            "ms": round(1000 * statistics.median(taken), 3),
            "ms, new length": round(1000 * fresh[name], 1),
            "dB": decibels(reference, outputs[name]),
        }
        for name, taken in times.items()
    }
    served = engines["as served"]
    halves = next((engines[name] for name in HALVES if name in engines), served)
    return {
        "options": rows | failed,
        "rows/s by batch": {
            "as served": {n: batched(served, subject, n, rounds) for n in BATCHES},
            "float16": {n: batched(halves, subject, n, rounds) for n in BATCHES},
        },
        "runs/s at once": {
            "as served": {n: round(at_once(served, subject.feeds, n, rounds), 1) for n in STREAMS},
            "float16": {n: round(at_once(halves, subject.feeds, n, rounds), 1) for n in STREAMS},
        },
    }


def halved(path: Path) -> bytes:
    """The graph after the pass float16."""
    import onnx

    from sonorant.prepare.passes.float16 import half
    from sonorant.prepare.passes.kind import Material, named

    return bytes(half(named(onnx.load(path)), Material()).SerializeToString())


def seconds_of_a_new_length(engine: OnnxRuntime, subject: Subject) -> float:
    """Median of the first runs of lengths that the engine has not seen."""
    taken = []
    for i in range(FRESH):
        call = engine.prepare(subject.longer(5 + 17 * i))
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    return times


def batched(engine: OnnxRuntime, subject: Subject, rows: int, rounds: int) -> float | str:
    """Rows a second; "failed" where the engine has nothing for such a batch."""
    call = engine.prepare({name: np.repeat(value, rows, 0) for name, value in subject.feeds.items()})
    try:
        call()
    except EngineError:
        return "failed"
    began = time.perf_counter()
    for _ in range(rounds):
        call()
    return round(rows * rounds / (time.perf_counter() - began), 1)


def at_once(engine: Any, feeds: Mapping[str, Any], count: int, rounds: int) -> float:
    """Runs a second, by so many threads."""

    def work() -> None:
        for _ in range(rounds):
            engine.prepare(feeds)()

    work()
    threads = [threading.Thread(target=work) for _ in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count * rounds / (time.perf_counter() - began)


def decibels(expected: Any, found: Any) -> float:
    """Signal to noise."""
    noise = float(np.mean((expected - found) ** 2)) or 1e-20
    return round(10 * float(np.log10(np.mean(expected**2) / noise)), 1)
