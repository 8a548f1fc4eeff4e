"""What to do next, in words, from the figures of a report: only what they show."""

from __future__ import annotations

from collections.abc import Iterator

from sonorant.prepare.profile import torch_work
from sonorant.prepare.profile.tally import Kind, NetworkTally, Report
from sonorant.prepare.profile.timeline import WORK
from sonorant.prepare.profile.work import CONTROL, CONVS, GATES, GEMMS, MATMULS, MOVES

MOST = 0.6
"""of the time: when operators that are named take that much, no more are"""
NEAR, FAR = 0.6, 0.3
"""of what the machine can do at most"""
SHORT = 40e-6
"""seconds of an operator: setting it going costs as much as computing it"""
NOTABLE = 0.1
"""of the time: worth a sentence of its own"""


class Suggestion(str):
    """A sentence of ours, which has its Chinese entry."""


def advice(report: Report) -> tuple[Suggestion, ...]:
    """The heaviest first; never empty."""
    return tuple(_all(report)) or (Suggestion("No single part stands out: the time is spread evenly."),)


def _all(report: Report) -> Iterator[Suggestion]:
    if not report.stages:
        yield Suggestion("Nothing ran on the device: this model's library computes in threads of its own.")
        return
    if report.plain and report.outside / report.plain > 0.3:  # a profiler writes outside the device, too
        share = f"{report.outside / report.plain:.0%}"
        yield Suggestion(
            f"{share} of a request passes outside the device (decoding of audio, a library's own threads, "
            "waiting): no faster network shortens that."
        )
    for stage in report.stages:
        if not stage.network and stage.share > NOTABLE:
            name = stage.name.removeprefix(f"{WORK}: ")
            yield Suggestion(
                f"{stage.share:.0%} of the device's time is {name}, which is no network: "
                "look at that code before the model."
            )
    covered = 0.0
    for kind in sorted(report.kinds, key=lambda kind: -kind.share)[:3]:
        if kind.share >= NOTABLE and covered < MOST:
            covered += kind.share
            yield _of_kind(kind, report)
    for network in report.networks:
        yield from _of_network(network)


def _of_kind(kind: Kind, report: Report) -> Suggestion:
    told = f"{kind.share:.0%} of the device's time is {kind.op} in {kind.network}"
    each = kind.seconds / kind.count if kind.count else 0.0
    arithmetic = kind.op in CONVS | MATMULS | GEMMS | GATES.keys() | {"ConvTranspose"} or (
        torch_work.arithmetic(kind.op)
    )
    if kind.op in GATES or torch_work.stepwise(kind.op):
        return Suggestion(
            f"{told}, which goes step by step: more threads do not help it; int8 weights, or several "
            "requests as rows of one run, do."
        )
    if kind.op in CONTROL:
        return Suggestion(
            f"{told}, which is what lies between the operators of its branches: fewer and larger ones "
            "(fusion), or more rows a run, help."
        )
    if arithmetic and each < SHORT:
        return Suggestion(
            f"{told}, of {each * 1e6:.0f} µs each: too short for threads. One thread a run and several runs "
            "side by side, fused operators or more rows a run help; int8 alone hardly does."
        )
    if kind.op in MOVES:
        return Suggestion(
            f"{told}, which only moves data: `sonorant prepare --to slim` or a cleaner export may remove it."
        )
    if kind.of_limit is None:
        return Suggestion(f"{told}; how near that is to the machine's limits is not known.")
    reached = f"{kind.of_limit:.0%}"
    if kind.memory_bound:
        if kind.of_limit >= NEAR:
            return Suggestion(
                f"{told}, held back by memory ({reached} of the least time): fewer bytes help, "
                "such as int8 weights or fused operators; more threads do not."
            )
        if arithmetic:
            return Suggestion(
                f"{told}, which reads its weights for few rows ({reached} of what memory allows): "
                "more rows a run (requests side by side) help most."
            )
        return Suggestion(
            f"{told}, elementwise or small work at {reached} of what memory allows: fusing it helps most."
        )
    if kind.op == "ConvInteger" and report.limits is not None and kind.gflops < report.limits.gflops:
        return Suggestion(
            f"{told}, quantised as it runs, at {kind.gflops:.0f} GOP/s where float32 reaches up to "
            f"{report.limits.gflops:.0f}: static int8 (QDQ), or float32 convolutions, may well be faster."
        )
    if kind.of_limit >= NEAR:
        if kind.quantised:
            return Suggestion(
                f"{told}, at {reached} of this machine's int8 peak: only fewer channels or layers (pruning) "
                "or a faster machine help."
            )
        return Suggestion(
            f"{told}, at {reached} of this machine's float32 peak: other kernels or more threads do not "
            "help; int8 (static for convolutions), pruning or a GPU do."
        )
    if kind.quantised:
        return Suggestion(
            f"{told}, int8 already, at {reached} of this machine's int8 peak: more rows a run or larger "
            "products reach more of it."
        )
    if kind.of_limit < FAR:
        return Suggestion(
            f"{told}, at only {reached} of the machine's peak: its shapes do not suit the kernels. "
            "Try another engine or layout, longer windows or more rows a run before int8."
        )
    return Suggestion(
        f"{told}, at {reached} of the machine's peak: int8 or pruning help, and another engine may."
    )


def _of_network(network: NetworkTally) -> Iterator[Suggestion]:
    if network.full:
        yield Suggestion(
            f"The profile of {network.name} is full, and its end is missing: "
            "ask for fewer --runs, or less at a time."
        )
    if network.share <= NOTABLE or not network.runs:
        return
    lost = (network.seconds - network.operators) / network.seconds if network.seconds else 0.0
    if lost > NOTABLE:
        yield Suggestion(
            f"{lost:.0%} of {network.name} lies between its {network.launched:.0f} operators a run: "
            "fewer and larger ones, or more rows a run, help."
        )
