"""What it costs to speak a sentence in windows, and how much sooner the first is there.

    python benchmarks/windows.py [--threads 1] [--rounds 9]

The networks of the Piper voice without anything around them, the variants taking turns; the minimum of the
rounds counts. "Work" is processor time, which other programs disturb less. Noise is off, so that every run
makes the same samples. "With the flow in the front" is the cut that ends at the decoder: the flow runs once,
before the first window.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bare
import machine
from sonorant.families.piper.layout import read_config
from sonorant.families.piper.networks import (
    DURATION_STEP,
    DURATIONS,
    FIRST_SECONDS,
    PHONEMES,
    QUIET,
    TRIED,
    WINDOW_SECONDS,
    signature,
)
from sonorant.networks import Network, Signature, streaming
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime, described
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.here import here, now
from sonorant.networks.proof import Evidence
from sonorant.networks.windows import Windowed
from sonorant.settings import load_settings

RATE = 22_050
BOUND = 1.12
"""windows take at most this many times the work of one run"""
LENGTHS = (80, 160, 300, 480)
"""phonemes, with the padding between them; thirty words have about 330"""


class Builder:
    """Engines with so many threads, run where they are called."""

    def __init__(self, threads: int) -> None:
        self._options = OnnxRuntimeOptions({"intra_op_num_threads": threads})
        self.artefacts = Artefacts(load_settings().catalogue.home.expanduser(), described("cpu"))

    def engine(
        self, network: str, path: Path, *, exposed: tuple[str, ...] = (), **defaults: Any
    ) -> OnnxRuntime:
        return OnnxRuntime(path, self._options, exposed=exposed)

    def network(self, name: str, signature: Signature, engine: Engine) -> Network:
        return here(name, signature, engine)


def joe() -> streaming.Model:
    """Piper's joe voice, as its family declares it."""
    path = next(bare.folder("piper-joe").glob("*.onnx"))
    declared = signature(symbols=read_config(path).symbols, speakers=1, rate=RATE, timed=True)
    first, most = (math.ceil(seconds * RATE / DURATION_STEP) for seconds in (FIRST_SECONDS, WINDOW_SECONDS))
    return streaming.Model(path, declared, "output", (DURATIONS,), QUIET, PHONEMES.name, TRIED, first, most)


def longest_run(rounds: int = 5) -> float:
    """Seconds of the longest run of joe's parts on an idle thread: nothing interrupts it."""
    voice = streaming.load(Builder(1), "joe", joe())
    if voice is None or voice.front is None:
        raise SystemExit("the voice is not cut")
    runs: list[tuple[Network, dict[str, Any]]] = [(voice.front, {PHONEMES.name: LENGTHS[1]})]
    for part in voice.windows.parts:
        runs.append((part.network, {"frames": part.most + sum(part.stage.context)}))
    times = []
    for network, sizes in runs:
        run = network.engine.prepare(network.signature.example(**sizes))
        times.append(min(timed_run(run) for _ in range(rounds)))
    return max(times)


def timed_run(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def timed(pieces: Callable[[], Any]) -> tuple[float, float, float, int]:
    """Seconds until the first piece and until the last, processor time of all, and their samples."""

    async def run() -> tuple[float, float, float, int]:
        began, worked, first, samples = time.perf_counter(), time.process_time(), 0.0, 0
        async for piece in pieces():
            first = first or time.perf_counter() - began
            samples += piece.size
        return first, time.perf_counter() - began, time.process_time() - worked, samples

    return now(run())


def main() -> int:
    """Print a table; 1 where the bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    builder, model = Builder(options.threads), joe()
    voice, whole = streaming.load(builder, "joe", model), builder.engine("whole", model.path)
    if voice is None or len(voice.windows.parts) != 2:
        raise SystemExit("the voice is not cut in three")
    flow, decoder = voice.windows.parts
    late = Windowed([decoder], model.first)

    print("| audio | one run | work in windows | first window | share | with the flow in the front | share |")
    print("|---|---|---|---|---|---|---|")
    ratios = []
    for length in LENGTHS:
        ids = np.random.default_rng(0).integers(1, 100, (1, length))
        feeds = {"input": ids, "input_lengths": np.array([length]), **QUIET}

        async def once(feeds: dict[str, Any] = feeds) -> Any:
            yield whole.prepare(feeds)()["output"]

        async def early(feeds: dict[str, Any] = feeds) -> Any:
            async for piece, _ in voice.windows.run(await voice.begin(**feeds)):
                yield piece

        async def only_the_decoder(feeds: dict[str, Any] = feeds) -> Any:
            given = await voice.begin(**feeds)
            frames = given[flow.stage.inputs[0].name].shape[2]
            given[flow.stage.output] = await flow.run(given, 0, frames, frames)
            async for piece, _ in late.run(given):
                yield piece

        runs = [
            [timed(variant) for variant in (once, early, only_the_decoder)] for _ in range(options.rounds)
        ]
        best = [[min(run[i][k] for run in runs) for k in range(3)] for i in range(3)]
        ratios.append(best[1][2] / best[0][2])
        print(
            f"| {runs[0][0][3] / RATE:.1f} s | {best[0][1] * 1000:.0f} ms | {ratios[-1]:.2f} × "
            f"| {best[1][0] * 1000:.0f} ms | {best[1][0] / best[0][1]:.2f} "
            f"| {best[2][0] * 1000:.0f} ms | {best[2][0] / best[0][1]:.2f} |"
        )
    kept = max(ratios) <= BOUND
    print(f"\nbound {BOUND} × one run: {'kept' if kept else 'MISSED'}; threads {options.threads}")
    step = 1000 * DURATION_STEP / RATE
    print(f"windows of {model.first} to {decoder.most} frames of {step:.1f} ms, of the flow to {flow.most}")
    for name, part in (("flow", flow), ("decoder", decoder)):
        crops = ", ".join(f"{before}+{after}" for before, after in (part.stage.context, *part.stage.crops))
        print(f"frames of context of the {name}, then at its crops: {crops}")
    kept_proof = builder.artefacts.get(model.path, "cut", streaming.RECIPE, lambda _: Evidence("made above"))
    if kept_proof is not None:
        compared = kept_proof.proof.evidence.comparisons
        worst = max(value for c in compared for value in c.differences.values())
        print(f"largest difference in the proof: {worst:.1g}")
    print("; ".join(f"{k} {v}" for k, v in machine.describe("sonorant", "onnxruntime").items()))
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
