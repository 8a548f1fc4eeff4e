"""What a GPU should do by its data sheet and a model's sizes, a roofline: an estimate, never a measurement.

A part's step with a batch of n streams takes

    max((weights + n · state) / (bandwidth · share), n · FLOPs / (fp16 peak · share))

and a second of audio of n streams the sum over its parts of steps · that. The figures and the shares that are
counted on are in gpus.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sonorant.doctor.said import table

_GIGA, _TERA = 1e9, 1e12
MOST = 4096
"""streams that are counted"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one model on one GPU."""

    gpu: str
    workload: str
    rtf: float | None
    """processing / audio with one stream; None = the model does not fit in the memory"""
    streams: int
    """played at once without a break; 0 = it does not keep up, or does not fit"""
    supported: bool = True


@cache
def tables() -> dict[str, Any]:
    """gpus.toml."""
    return table("gpus")


def estimates() -> list[Estimate]:
    """Every model of the table on every GPU of it."""
    return [estimate(gpu, workload) for gpu in tables()["gpu"] for workload in tables()["workload"]]


def of(name: str) -> list[Estimate]:
    """Of the GPU that a driver, or its board, calls `name`; none where the table does not have it."""
    candidates = [(len(word), gpu) for gpu in tables()["gpu"] for word in gpu["match"] if word in name]
    if not candidates:
        return []
    _, gpu = max(candidates, key=lambda candidate: candidate[0])
    return [estimate(gpu, workload) for workload in tables()["workload"]]


def estimate(gpu: Mapping[str, Any], workload: Mapping[str, Any]) -> Estimate:
    """One of them."""
    if gpu.get("unsupported"):
        return Estimate(gpu["name"], workload["name"], None, 0, supported=False)
    assumed = tables()["assumed"]
    state = sum(part.get("state_gb", 0.0) for part in workload["part"])
    room = gpu["memory_gb"] * assumed["memory"] - assumed["runtime_gb"] - workload["weights_gb"]
    if room < state:
        return Estimate(gpu["name"], workload["name"], None, 0)
    fitting = int(room / state) if state else MOST
    streams = 0
    while streams < min(fitting, MOST) and seconds(gpu, workload, streams + 1) <= assumed["busy"]:
        streams += 1
    return Estimate(gpu["name"], workload["name"], seconds(gpu, workload, 1), streams)


def seconds(gpu: Mapping[str, Any], workload: Mapping[str, Any], streams: int) -> float:
    """Of computing a second of audio for each of `streams`."""
    assumed = tables()["assumed"]
    bandwidth = gpu["bandwidth"] * _GIGA * assumed["bandwidth"]
    peak = gpu["fp16"] * _TERA
    return float(
        sum(
            part["steps"]
            * max(
                (part["weights_gb"] + streams * part.get("state_gb", 0.0)) * _GIGA / bandwidth,
                streams * part["flops"] / (peak * assumed["small" if part.get("small") else "compute"]),
            )
            for part in workload["part"]
        )
    )
