"""What `sonorant doctor` prints of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sonorant.cli.language import localized
from sonorant.doctor import compatibility, roofline
from sonorant.doctor.advice import MANY
from sonorant.doctor.compatibility import Need
from sonorant.doctor.environment import Environment
from sonorant.doctor.examination import Examination
from sonorant.doctor.minimum import verdict
from sonorant.doctor.speed import Speed
from sonorant.locale import language_of_terminal

_GB = 1e9
_WIDE = 150
"""characters that the table of projects takes"""
_FITS = {True: ("green", "✓ "), False: ("red", "✗ "), None: ("dim", "")}
"""colour, and a sign for where there are no colours"""
_PARTS = {
    "cores": "cores",
    "instructions": "instructions",
    "memory": "memory",
    "disk": "disk",
    "gpu": "GPU, for GPU work",
}


def show(examined: Examination) -> None:
    """Print all of it."""
    console = Console(highlight=False, soft_wrap=False)
    _heading(console, localized("This machine"))
    facts = _pairs()
    for name, value in _facts(examined.environment):
        facts.add_row(localized(name), escape(value))
    console.print(facts)
    _heading(console, localized("Against the minimum"))
    console.print(_verdict(examined.environment))
    _heading(console, localized("What does not fit"))
    _findings(console, examined)
    _heading(console, localized("What projects need"))
    console.print(_projects(examined) if console.width >= _WIDE else _projects_one_by_one(examined))
    _heading(console, localized("Recommended"))
    for line in _measured(examined.speed):
        console.print(escape(line))
    console.print(f"[cyan]# sonorant.toml\n{escape(examined.advice.toml(localized(MANY)))}[/cyan]", end="")
    _heading(console, localized("GPUs: estimates by a roofline, not measured"))
    _estimates(console, examined.environment)


def _pairs() -> Table:
    """A name and what is told of it, of which nothing is cut off: Chinese has no spaces to wrap at."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _heading(console: Console, title: str) -> None:
    console.print(f"\n[bold]{escape(title)}[/bold]")


def _facts(found: Environment) -> Iterator[tuple[str, str]]:
    yield "system", f"{found.system}, Python {found.python}"
    processor = found.processor
    cores = localized(f"{processor.usable} of {processor.present} cores usable")
    yield "processor", f"{processor.model}, {cores}, {' '.join(processor.instructions)}"
    if found.ram:
        limit, free, machine = (
            f"{number / _GB:.1f} GB" for number in (found.ram.usable, found.ram.free, found.ram.machine)
        )
        yield "memory", localized(f"{limit} usable, {free} free, {machine} in the machine")
    yield "disk", _disk(found.disk)
    cards = found.cards
    for card in cards.cards:
        yield "GPU", f"{card.name}, {card.memory / _GB:.1f} GB, sm_{card.capability.replace('.', '')}"
    if not cards.cards:
        there = cards.board or " ".join(cards.silent)
        absent = localized("none that NVIDIA's driver answers for")
        yield "GPU", f"{there + ': ' if there else ''}{absent} ({cards.absent})"
    if cards.driver:
        runs = f"CUDA ≤ {cards.cuda}" if cards.cuda else ""
        yield "driver", f"{cards.driver} {runs}".strip()
    for label, name in (("CUDA", "cuda"), ("cuDNN", "cudnn"), ("TensorRT", "tensorrt")):
        told = found.libraries.get(name, {})
        yield (
            label,
            f"{told['version']} {told.get('where', '')}".strip() if "version" in told else localized("none"),
        )
    for name in ("onnxruntime", "onnx", "torch", "ctranslate2"):
        yield name, _library(found.libraries.get(name), "≤ " if name == "onnxruntime" else "")


def _disk(disk: Any) -> str:
    if "failed" in disk:
        return str(disk["failed"])
    write, read = (f"{disk[name] / 1e6:.0f} MB/s" for name in ("write", "read"))
    delay, free = f"{disk['random_read'] * 1e3:.2g}", f"{disk['free'] / _GB:.0f} GB"
    return f"{disk['folder']}: " + localized(
        f"written with {write}, read with {read}, {delay} ms for 4 KiB anywhere, {free} free"
    )


def _library(told: Any, at_most: str) -> str:
    if not told:
        return localized("none")
    if "failed" in told:
        return str(told["failed"])
    parts = [told["version"]]
    parts += [name.removesuffix("ExecutionProvider") for name in told.get("providers", ())]
    parts += [f"{what} {at_most}{told[what]}" for what in ("ir", "opset") if told.get(what)]
    parts += [f"CUDA {told['cuda']}"] if told.get("cuda") else []
    parts += told.get("architectures", ())
    return " ".join(parts)


def _verdict(found: Environment) -> Table:
    minimum = compatibility.tables()["minimum"]
    wanted = {
        "cores": f"≥ {minimum['cores']}",
        "instructions": minimum["instructions"],
        "memory": f"≥ {minimum['memory_gb']} GB",
        "disk": "SSD",
        "gpu": "≥ T4",
    }
    marks = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "–"}
    table = Table.grid(padding=(0, 2))
    for name, met in verdict(found).items():
        table.add_row(marks[met], localized(_PARTS[name]), wanted[name])
    return table


def _findings(console: Console, examined: Examination) -> None:
    language = language_of_terminal()
    for finding in examined.findings:
        colour, word = ("red", "error") if finding.level == "error" else ("yellow", "warning")
        console.print(f"[{colour}]{localized(word)}[/{colour}]  {escape(finding.what[language])}")
        console.print(f"  {escape(finding.why[language])}", soft_wrap=True)
        console.print(f"  [cyan]{escape(finding.command)}[/cyan]", soft_wrap=True)
    if examined.fits:
        console.print(
            localized("The machine meets the minimum, and what is installed fits together"), style="green"
        )


def _projects(examined: Examination) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    projects = list(dict.fromkeys(need.project for need in examined.needs))
    known = compatibility.facts(examined.environment)
    for title in ("package", "installed"):
        table.add_column(localized(title), no_wrap=title == "package", overflow="fold")
    for project in projects:
        table.add_column(project, overflow="fold")  # a version that is cut off is another one
    wanted = {(need.project, need.package): need for need in examined.needs}
    for package in compatibility.columns():
        cells = []
        for project in projects:
            need = wanted.get((project, package))
            if need is None:
                cells.append("")
                continue
            cells.append(_wanted(need))
        if any(cells) or package in known:
            table.add_row(package, escape(known.get(package, "–")), *cells)
    return table


def _projects_one_by_one(examined: Examination) -> Table:
    """The same for a narrow terminal."""
    table = _pairs()
    shown = set(compatibility.columns())
    for project, needs in groupby(examined.needs, key=lambda need: need.project):
        wanted = [f"{need.package} {_wanted(need)}" for need in needs if need.package in shown]
        table.add_row(project, ", ".join(wanted))
    return table


def _wanted(need: Need) -> str:
    colour, sign = _FITS[need.fits]
    return f"[{colour}]{sign}{escape(need.wanted or localized('any'))}[/{colour}]"


def _measured(speed: Speed | None) -> Iterator[str]:
    if speed is None:
        yield localized("The speed was not measured")
        return
    if speed.failed:
        yield localized(f"The voice could not be measured: {speed.failed}")
    if speed.rtf is not None:
        voice, rtf, threads = speed.what, f"{speed.rtf:.3f}", speed.threads
        made, streams = f"{speed.audio_seconds:.0f}", speed.streams
        yield localized(f"Measured with {voice}: RTF {rtf} for one request by itself")
        yield localized(
            f"All cores together make {made} s of speech a second, with {threads} threads a run: "
            f"{streams} streams can be played at once (70%)"
        )
    elif speed.gflops:
        kernel, gflops = speed.what, f"{speed.gflops:.0f}"
        yield localized(f"No voice is here to measure with; {kernel}: {gflops} GFLOPS")


def _estimates(console: Console, found: Environment) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("GPU", no_wrap=True)
    workloads = [workload["name"] for workload in roofline.tables()["workload"]]
    for name in workloads:
        table.add_column(name, justify="right", overflow="fold")
    names = [*(card.name for card in found.cards.cards), found.cards.board]
    here = {one.gpu for name in names for one in roofline.of(name)}
    by_gpu: dict[str, list[roofline.Estimate]] = {}
    for one in roofline.estimates():
        by_gpu.setdefault(one.gpu, []).append(one)
    for gpu, row in by_gpu.items():
        style = "bold" if gpu in here else None
        table.add_row(gpu, *map(_estimate, row), style=style)
    console.print(table)
    share = {name: f"{value:g}" for name, value in roofline.tables()["assumed"].items()}
    bandwidth, compute, small, busy = (share[name] for name in ("bandwidth", "compute", "small", "busy"))
    console.print(
        localized(
            "Each cell: RTF of one stream, and how many play at once without a break. "
            "A step takes the longer of weights / memory bandwidth and operations / fp16 peak"
        )
    )
    console.print(
        localized(
            f"Assumed: {bandwidth} of the bandwidth, {compute} of the peak ({small} with small matrices), "
            f"a GPU that is busy for {busy} of the time, fp16 weights"
        )
    )


def _estimate(one: roofline.Estimate) -> str:
    if not one.supported:
        return localized("not supported")
    if one.rtf is None:
        return localized("does not fit")
    rtf = f"{one.rtf:.4f}" if one.rtf < 0.01 else f"{one.rtf:.3f}"
    most = "≥ " if one.streams == roofline.MOST else ""
    return f"{rtf} · {most}{one.streams or localized('none')}"
