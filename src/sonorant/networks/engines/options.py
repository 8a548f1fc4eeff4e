"""ONNX Runtime's options under ONNX Runtime's own names; an unknown one is refused."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sonorant.errors import SettingsError
from sonorant.observe.machine import cores

Value = str | int | float | bool

SHRINK_ARENA = "memory.enable_memory_arena_shrinkage"
SPINNING = "session.intra_op.allow_spinning"

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_LAYOUT", "ORT_ENABLE_ALL")
MODES = ("ORT_SEQUENTIAL", "ORT_PARALLEL")


def integer(low: int, high: int) -> Callable[[Value], int]:
    def parse(value: Value) -> int:
        text = "" if isinstance(value, bool) else str(value)
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high} is expected")
        return int(text)

    return parse


def flag(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("1", "true", "0", "false"):
        return str(value).lower() in ("1", "true")
    raise ValueError("true or false is expected")


def one_of(*names: str) -> Callable[[Value], str]:
    def parse(value: Value) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)} is expected")
        return str(value)

    return parse


ATTRIBUTES: dict[str, Callable[[Value], Any]] = {
    "intra_op_num_threads": integer(0, 1024),
    "inter_op_num_threads": integer(0, 1024),
    "execution_mode": one_of(*MODES),
    "graph_optimization_level": one_of(*LEVELS),
    "enable_cpu_mem_arena": flag,
    "enable_mem_pattern": flag,
    "enable_mem_reuse": flag,
    "enable_profiling": flag,
    "profile_file_prefix": str,
    "log_severity_level": integer(0, 4),
    "use_deterministic_compute": flag,
}
"""attributes of onnxruntime.SessionOptions"""

SESSION_ENTRIES: dict[str, Callable[[Value], Any]] = {
    SPINNING: flag,
    "session.inter_op.allow_spinning": flag,
    "session.force_spinning_stop": flag,
    "session.set_denormal_as_zero": flag,
    "session.disable_prepacking": flag,
    "session.use_env_allocators": flag,
    "session.use_device_allocator_for_initializers": flag,
    "session.dynamic_block_base": integer(0, 1 << 16),
    "session.intra_op_thread_affinities": str,
    "session.disable_quant_qdq": flag,
    "session.disable_double_qdq_remover": flag,
    "session.enable_quant_qdq_cleanup": flag,
    "session.qdqisint8allowed": flag,
    "session.disable_aot_function_inlining": flag,
    "optimization.minimal_build_optimizations": str,
    "optimization.disable_specified_optimizers": str,
    "mlas.enable_gemm_fastmath_arm64_bfloat16": flag,
    "ep.dynamic.workload_type": one_of("Default", "Efficient"),
}
"""keys of SessionOptions.add_session_config_entry (onnxruntime_session_options_config_keys.h)"""

RUN_ENTRIES: dict[str, Callable[[Value], Any]] = {
    SHRINK_ARENA: str,
    "disable_synchronize_execution_providers": flag,
}
"""keys of RunOptions.add_run_config_entry (onnxruntime_run_options_config_keys.h)"""

CUDA_ENTRIES: dict[str, Callable[[Value], Any]] = {
    "arena_extend_strategy": one_of("kNextPowerOfTwo", "kSameAsRequested"),
    "cudnn_conv_algo_search": one_of("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "cudnn_conv_use_max_workspace": flag,
    "cudnn_conv1d_pad_to_nc1d": flag,
    "do_copy_in_default_stream": flag,
    "gpu_mem_limit": integer(1, 1 << 48),
    "prefer_nhwc": flag,
    "use_tf32": flag,
}
"""options of the CUDA execution provider (cuda_execution_provider_info.cc); elsewhere they say nothing"""

PARSERS = {**ATTRIBUTES, **SESSION_ENTRIES, **RUN_ENTRIES, **CUDA_ENTRIES}
"""every option → what makes its value, or raises ValueError"""

MOST_THREADS = 4
"""of one run, where nothing else is chosen"""


def defaults() -> dict[str, Value]:
    """What holds where nothing is chosen, on the cores that this process has."""
    return {
        "intra_op_num_threads": min(MOST_THREADS, cores()),
        # Spinning threads steal the core from the other requests of a busy server.
        SPINNING: "0",
        # Without it the arena keeps the memory of the longest request for ever.
        SHRINK_ARENA: "cpu:0",
        "log_severity_level": 3,
        # Its search tries every algorithm for each new shape, and each sentence has another length.
        "cudnn_conv_algo_search": "HEURISTIC",
        # What the publisher's file computes in float32, in float32: with it HiFi-GAN comes to 27 dB.
        "use_tf32": "0",
        # cuDNN has quick kernels for [n, 1, samples], and for some of float16 no others (9.19, sm_90).
        "cudnn_conv1d_pad_to_nc1d": "1",
        # Doubling leaves most of a GPU with one long request's arena.
        "arena_extend_strategy": "kSameAsRequested",
    }


def check(engine: str, chosen: Mapping[str, Value], parsers: Mapping[str, Callable[[Value], Any]]) -> None:
    """Raises SettingsError for an option that `parsers` do not know, or a value that they refuse."""
    for name, value in chosen.items():
        if name not in parsers:
            close = difflib.get_close_matches(name, parsers, n=1)
            raise SettingsError(
                f"{name!r} is not an {engine} option that Sonorant passes on",
                why=f"Did you mean {close[0]!r}?" if close else "",
                remedy=f"Known: {', '.join(parsers)}",
            )
        try:
            parsers[name](value)
        except ValueError as error:
            raise SettingsError(f"{engine} option {name} = {value!r}", why=str(error)) from None


@dataclass(frozen=True)
class OnnxRuntimeOptions:
    """Options in force: `defaults` overlaid by `chosen`. Raises SettingsError for an unknown name."""

    chosen: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check("ONNX Runtime", self.chosen, PARSERS)

    @cached_property
    def values(self) -> dict[str, Value]:
        """Every option in force, by ONNX Runtime's name. Read once: each run of a network asks for them."""
        return {**defaults(), **self.chosen}

    def session(self) -> Any:
        """onnxruntime.SessionOptions with all options set."""
        import onnxruntime as ort

        options = ort.SessionOptions()
        for name, value in self.values.items():
            if name == "graph_optimization_level":
                options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, str(value))
            elif name == "execution_mode":
                options.execution_mode = getattr(ort.ExecutionMode, str(value))
            elif name in ATTRIBUTES:
                setattr(options, name, ATTRIBUTES[name](value))
            elif name in SESSION_ENTRIES:
                options.add_session_config_entry(name, _text(SESSION_ENTRIES[name](value)))
        return options

    def cuda(self) -> dict[str, str]:
        """Those of the CUDA execution provider."""
        return {
            name: _text(parse(self.values[name]))
            for name, parse in CUDA_ENTRIES.items()
            if name in self.values
        }

    def run(self, *, shrink: bool = True, gpu: str = "") -> Any:
        """onnxruntime.RunOptions with all options set; `shrink` False leaves the arenas as they are.

        gpu: the number of the one that computes, which has an arena, too.
        """
        import onnxruntime as ort

        options = ort.RunOptions()
        for name in RUN_ENTRIES:
            value = str(self._arenas(gpu) if name == SHRINK_ARENA and shrink else self.values.get(name, ""))
            if value and (name != SHRINK_ARENA or shrink):
                options.add_run_config_entry(name, _text(RUN_ENTRIES[name](value)))
        return options

    def _arenas(self, gpu: str) -> str:
        """Those that shrink. One that is not there may not be named: ONNX Runtime refuses such a run."""
        chosen = str(self.values.get(SHRINK_ARENA, ""))
        there = flag(self.values.get("enable_cpu_mem_arena", True))
        named = [name for name in chosen.split(";") if name and (there or not name.startswith("cpu"))]
        if gpu and chosen:
            named.append(f"gpu:{gpu}")
        return ";".join(dict.fromkeys(named))


def _text(value: Any) -> str:
    """ONNX Runtime writes flags as 0 and 1."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def parse_options(pairs: list[str]) -> dict[str, Value]:
    """["intra_op_num_threads=2", …] from a command line → a mapping. Raises SettingsError."""
    options: dict[str, Value] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"{pair!r} is not NAME=VALUE", remedy="Write --ort intra_op_num_threads=2")
        options[name.strip()] = value.strip()
    OnnxRuntimeOptions(options)
    return options
