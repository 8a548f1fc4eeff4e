"""What ONNX Runtime's options cost and save: where the defaults in networks/engines/options.py come from.

    python benchmarks/engine_options.py

Times are ratios within one run, the variants taking turns; memory is measured in a process of its own each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bare
import machine
from sonorant.networks.engines.options import OnnxRuntimeOptions

STEPS, ROUNDS = 40, 15
FRAMES = 123
"""encoder frames of three seconds"""


def decoding(threads: int, *, shrink: bool) -> Callable[[], None]:
    """`STEPS` tokens through Moonshine tiny's decoder with its caches."""
    options = OnnxRuntimeOptions({"intra_op_num_threads": threads})
    decoder = bare.session(
        bare.folder("moonshine-tiny") / "decoder_model_merged.ort", intra_op_num_threads=threads
    )
    names = [output.name for output in decoder.get_outputs()]
    shapes = {
        i.name: [1, *(d if isinstance(d, int) else 0 for d in i.shape[1:])] for i in decoder.get_inputs()
    }
    random = np.random.default_rng(0)

    def decode() -> None:
        feeds: dict[str, Any] = {
            n: np.zeros(s, np.float32) for n, s in shapes.items() if n.startswith("past")
        }
        feeds["encoder_hidden_states"] = random.standard_normal((1, FRAMES, 288), np.float32)
        feeds["encoder_attention_mask"] = np.ones((1, 48_000), np.int64)
        feeds["input_ids"], feeds["use_cache_branch"] = np.array([[1]]), np.array([False])
        for step in range(STEPS):
            values = dict(zip(names, decoder.run(names, feeds, options.run(shrink=shrink)), strict=True))
            for name, value in values.items():
                if name != "logits" and (".decoder." in name or step == 0):
                    feeds[name.replace("present.", "past_key_values.")] = value
            feeds["use_cache_branch"] = np.array([True])

    return decode


def synthesis(*, shrink: bool) -> Callable[[], None]:
    """A short sentence through the Piper voice."""
    run, options = _piper(), OnnxRuntimeOptions()
    return lambda: run(40, options.run(shrink=shrink))


def ratio(slow: Callable[[], None], quick: Callable[[], None]) -> float:
    """Median of time over time, the two taking turns."""
    for work in (slow, quick):
        work()
    return statistics.median(_seconds(slow) / _seconds(quick) for _ in range(ROUNDS))


def growth(shrink: bool) -> float:
    """MB that a process keeps after a long text beyond what it kept after a short one."""
    run, options = _piper(), OnnxRuntimeOptions()
    run(40, options.run(shrink=shrink))
    before = _resident()
    run(900, options.run(shrink=shrink))
    run(40, options.run(shrink=shrink))
    return (_resident() - before) / 1e6


def _piper() -> Callable[[int, Any], None]:
    network = bare.session(next(bare.folder("piper-joe").glob("*.onnx")))

    def run(phonemes: int, options: Any) -> None:
        ids = np.arange(2 * phonemes)[np.newaxis] % 2 * 20
        scales = np.array([0.667, 1, 0.8], np.float32)
        feeds = {"input": ids, "input_lengths": np.array([ids.shape[1]]), "scales": scales}
        network.run(None, feeds, options)

    return run


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _apart(shrink: bool) -> float:
    command = [sys.executable, str(Path(__file__)), "growth", str(int(shrink))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print a table."""
    if sys.argv[1:2] == ["growth"]:
        print(growth(sys.argv[2] == "1"))
        return
    quick = decoding(1, shrink=False)
    print("| choice | instead of | costs |\n|---|---|---|")
    print(f"| arena shrunk after every token | never | {ratio(decoding(1, shrink=True), quick):.2f} × time |")
    print(
        f"| two threads for a decoder's step | one | {ratio(decoding(2, shrink=False), quick):.2f} × time |"
    )
    print(
        f"| arena shrunk after a short sentence (Piper) | never "
        f"| {ratio(synthesis(shrink=True), synthesis(shrink=False)):.2f} × time |"
    )
    print(f"| arena never shrunk, one long text (Piper) | after large runs | {_apart(False):.0f} MB kept |")
    print(f"| arena shrunk after large runs | | {_apart(True):.0f} MB kept |")
    print("; ".join(f"{k} {v}" for k, v in machine.describe("onnxruntime", "numpy").items()))


if __name__ == "__main__":
    main()
