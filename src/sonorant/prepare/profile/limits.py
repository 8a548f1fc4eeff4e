"""What this machine's cores and memory do at most: the two lines of a roofline, measured in a second or two.

A matrix product by ONNX Runtime itself, with as many threads as networks have here: what an operator could
reach at best with the very kernels that it has. Copying between arrays far larger than the caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sonorant.networks.engines.options import OnnxRuntimeOptions, Value
from sonorant.networks.onnx_file import MICROSOFT, Graph
from sonorant.networks.signature import Array, Tensor

SECONDS = 0.4
"""in which each of the three is measured; the best counts"""
EDGE = 768
"""of the square matrices: 1 GFLOP, which their 7 MB do not hold back"""
COPIED = 1 << 25
"""bytes that each thread copies at a time"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of this machine, with so many threads."""

    threads: int
    gflops: float
    """float32, 10⁹ FLOPs a second"""
    int8_gops: float
    """int8, 10⁹ operations a second"""
    gigabytes: float
    """10⁹ bytes a second, read and written"""

    def seconds(self, flops: float, moved: float, *, quantised: bool = False) -> float:
        """That so much takes at least, if every byte came from memory."""
        return max(
            flops / (1e9 * (self.int8_gops if quantised else self.gflops)), moved / (1e9 * self.gigabytes)
        )

    def bound_by_memory(self, flops: float, moved: float, *, quantised: bool = False) -> bool:
        rate = self.int8_gops if quantised else self.gflops
        return moved / self.gigabytes > flops / rate


def measure(threads: int, seconds: float = SECONDS) -> Limits:
    """Blocks for about three times `seconds`."""
    flops = 2 * EDGE**3 / 1e9
    return Limits(
        threads,
        flops / _best(_product(threads, int8=False), seconds),
        flops / _best(_product(threads, int8=True), seconds),
        _copied(threads, seconds),
    )


def _product(threads: int, *, int8: bool) -> Callable[[], object]:
    import onnxruntime as ort

    random, graph = np.random.default_rng(0), Graph()
    b: Array = random.normal(0, 1, (EDGE, EDGE)).astype(np.float32)
    if int8:
        weight = graph.constant((b * 30).clip(-127, 127).astype(np.int8))
        graph.op("DynamicQuantizeMatMul", "a", weight, graph.scalar(0.03), name="y", domain=MICROSOFT)
    else:
        graph.op("MatMul", "a", graph.constant(b), name="y")
    shape = (EDGE, EDGE)
    model = graph.file([Tensor("a", "float32", shape)], [Tensor("y", "float32", shape)])
    chosen: dict[str, Value] = {"intra_op_num_threads": threads}
    session = ort.InferenceSession(model, OnnxRuntimeOptions(chosen).session(), ["CPUExecutionProvider"])
    return lambda: session.run(None, {"a": b})


def _copied(threads: int, seconds: float) -> float:
    """GB a second."""
    pairs = [(np.ones(COPIED, np.uint8), np.ones(COPIED, np.uint8)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        best = _best(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)), seconds)
    return 2 * COPIED * threads / best / 1e9


def _best(work: Callable[[], object], seconds: float) -> float:
    """Of the runs within `seconds`, of which there are at least three."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
