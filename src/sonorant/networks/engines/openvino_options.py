"""OpenVINO's options under OpenVINO's own names; an unknown one is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sonorant.networks.engines.options import MOST_THREADS, Value, check, flag, integer, one_of
from sonorant.observe.machine import cores

PARSERS: dict[str, Callable[[Value], Any]] = {
    "INFERENCE_NUM_THREADS": integer(1, 1024),
    "NUM_STREAMS": integer(1, 1024),
    "INFERENCE_PRECISION_HINT": one_of("f32", "f16", "bf16"),
    "PERFORMANCE_HINT": one_of("LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT"),
    "EXECUTION_MODE_HINT": one_of("PERFORMANCE", "ACCURACY"),
    "ENABLE_CPU_PINNING": flag,
    "ENABLE_HYPER_THREADING": flag,
    "CPU_DENORMALS_OPTIMIZATION": flag,
}
"""keys of openvino.Core.compile_model → what makes the value, or raises ValueError"""


def defaults() -> dict[str, Value]:
    """What holds where nothing is chosen, on the cores that this process has."""
    return {
        # OpenVINO's own choice on a processor that has it is bf16: 41 dB against float32.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": min(MOST_THREADS, cores()),
        # Runs side by side; further ones wait.
        "NUM_STREAMS": 1,
        # Pinned threads of several processes meet on the same cores.
        "ENABLE_CPU_PINNING": False,
    }


@dataclass(frozen=True)
class OpenVinoOptions:
    """Options in force: `defaults` overlaid by `chosen`. Raises SettingsError for an unknown name."""

    chosen: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check("OpenVINO", self.chosen, PARSERS)

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every option in force, for compile_model."""
        return {name: PARSERS[name](value) for name, value in {**defaults(), **self.chosen}.items()}
