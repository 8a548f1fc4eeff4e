"""A report on the terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from sonorant.prepare.profile.advice import advice
from sonorant.prepare.profile.tally import Report
from sonorant.prepare.profile.timeline import WORK

Say = Callable[[str], str]
"""English of ours in the reader's language"""

MEGA = 1e6


def as_json(report: Report) -> str:
    """All figures; seconds and bytes throughout."""
    tree: dict[str, Any] = asdict(report)
    tree["advice"] = list(advice(report))
    return json.dumps(tree, ensure_ascii=False, indent=2)


def show(report: Report, console: Console, say: Say, top: int) -> None:
    """Print tables, and what follows from them."""
    for line in _summary(report, say):
        console.print(line, highlight=False, markup=False)
    for table in (_stages(report, say), _networks(report, say), _operators(report, say, top)):
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    for line in advice(report):
        console.print(f"→ {say(line)}", highlight=False, markup=False)


def _summary(report: Report, say: Say) -> list[str]:
    audio = f" · {report.audio:.2f} s {say('of audio')}" if report.audio else ""
    lines = [
        f"{report.model} · {report.device}{audio}",
        f"{say('a request')}: {_time(report.plain)} ({say('watched')}: {_time(report.seconds)}) · "
        f"{say('on the device')}: {_time(report.plain_busy)} · {say('outside')}: {_time(report.outside)}",
        f"{say('memory of the process')}: {_bytes(report.memory.before)} → {say('loaded')} "
        f"{_bytes(report.memory.loaded)} → {say('at most')} {_bytes(report.memory.peak)}",
    ]
    if (limits := report.limits) is not None:
        lines.append(
            f"{say('limits of this machine')} ({limits.threads} {say('threads')}): "
            f"{limits.gflops:.0f} GFLOP/s · int8 {limits.int8_gops:.0f} GOP/s · {limits.gigabytes:.1f} GB/s"
        )
    joules = [f"{name} {value / report.requests:.2f} J" for name, value in report.energy.joules.items()]
    told = " · ".join(joules) or say("not available") + f" ({say(report.energy.unavailable)})"
    return [*lines, f"{say('energy of a request')}: {told}"]


def _stages(report: Report, say: Say) -> Table:
    table = _table(say, "stage", "share", "time", "count", "memory")
    for stage in report.stages:
        name = stage.name.removeprefix(f"{WORK}: ")
        table.add_row(
            name, f"{stage.share:.1%}", _time(stage.seconds), f"{stage.count:.3g}", _bytes(stage.resident)
        )
    return table


def _networks(report: Report, say: Say) -> Table:
    table = _table(
        say, "network", "runs", "time", "in operators", "GFLOP", "weights", "arena", "nodes", "kernels"
    )
    for network in report.networks:
        fused = f" {say('(fused)')}" if network.fused_before else ""
        table.add_row(
            network.name,
            f"{network.runs:.3g}",
            _time(network.seconds),
            f"{network.operators / network.seconds:.0%}" if network.seconds else "",
            f"{'' if network.flops_known else '≥ '}{network.flops / 1e9:.3g}",
            "" if network.parameters is None else _bytes(network.parameters),
            "" if network.arena_peak is None else _bytes(network.arena_peak),
            f"{network.nodes}{fused}" if network.nodes else "",
            str(network.kernels),
        )
    return table


def _operators(report: Report, say: Say, top: int) -> Table:
    table = _table(
        say, "operator", "network", "share", "time", "count", "GFLOP/s", "GB/s", "of the limit", "bound by"
    )
    for kind in report.kinds[:top]:
        table.add_row(
            kind.op.removeprefix("aten::"),
            kind.network,
            f"{kind.share:.1%}",
            _time(kind.seconds),
            f"{kind.count:.3g}",
            "" if kind.flops is None else f"{kind.gflops:.1f}",
            f"{kind.gigabytes:.1f}" if kind.moved else "",
            "" if kind.of_limit is None else f"{kind.of_limit:.0%}",
            "" if kind.of_limit is None else say("memory" if kind.memory_bound else "arithmetic"),
        )
    return table


def _table(say: Say, *headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        left = heading in ("stage", "network", "operator", "bound by")
        table.add_column(say(heading), justify="left" if left else "right")
    return table


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def _bytes(number: float) -> str:
    return f"{number / MEGA:.0f} MB" if number >= 10 * MEGA else f"{number / MEGA:.2g} MB"
