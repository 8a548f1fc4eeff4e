"""A report and a verdict as tables of the terminal: a row a figure, a column a load."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from sonorant.bench.figures import Percentiles
from sonorant.bench.report import Load, Report
from sonorant.bench.targets import SIGNS, Verdict

Say = Callable[[str], str]
"""English words of ours → those of the terminal's language"""

NOTHING = "–"


def figures_table(report: Report, say: Say) -> Table:
    """All loads side by side. What was not measured is a dash; rows without any figure are left out."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for load in report.loads:
        table.add_column(_name(load, say), justify="right")
    for name, cell in _ROWS.items():
        cells = [cell(load) for load in report.loads]
        if any(text not in (NOTHING, "") for text in cells):
            table.add_row(say(name), *cells)
    return table


def summary(report: Report, say: Say) -> list[str]:
    """What is known of all loads together."""
    facts = {
        "memory at the start": _bytes(report.memory_loaded),
        "more with one client": _bytes(report.memory_a_request),
        "more for each further client": _bytes(report.memory_a_client),
    }
    lines = [f"{say(name)}: {value}" for name, value in facts.items() if value != NOTHING]
    reasons: dict[str, int] = {}
    for load in report.loads:
        for reason, count in load.figures.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return lines + [f"{say('failed')}: {count} × {reason}" for reason, count in reasons.items()]


def verdict_table(verdicts: tuple[Verdict, ...], say: Say) -> Table:
    """A row a goal: its bound, what was measured, and whether it is kept."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("goal", "bound", "measured", "verdict"):
        table.add_column(say(heading), justify="left" if heading in ("goal", "verdict") else "right")
    words = {True: "kept", False: "MISSED", None: "not measured"}
    styles = {True: "green", False: "bold red", None: "yellow"}
    for verdict in verdicts:
        goal = verdict.goal
        table.add_row(
            goal.figure,
            f"{SIGNS[goal.sense]} {goal.bound:,g}"
            if goal.bound < 1e6
            else f"{SIGNS[goal.sense]} {_bytes(goal.bound)}",
            _measured(verdict),
            f"[{styles[verdict.kept]}]{say(words[verdict.kept])}[/]",
        )
    return table


def _measured(verdict: Verdict) -> str:
    if verdict.value is None:
        return NOTHING
    return _bytes(verdict.value) if "memory" in verdict.goal.figure else f"{verdict.value:,.4g}"


def _name(load: Load, say: Say) -> str:
    if load.clients:
        return say(f"{load.clients} clients") if load.clients > 1 else say("1 client")
    share = f"{load.share:.0%}: " if load.share else ""
    return f"{share}{load.rate:.3g}/s"


def _seconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _bytes(value: float | None) -> str:
    return NOTHING if value is None else f"{value / 1e6:,.0f} MB"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2%}"


def _at(name: str, percent: int) -> Callable[[Load], str]:
    """Seconds of one percentile."""

    def cell(load: Load) -> str:
        found: Percentiles | None = getattr(load.figures, name)
        return NOTHING if found is None else _seconds(found.curve[percent])

    return cell


def _retry(load: Load) -> str:
    between = load.figures.retry_after
    return NOTHING if between is None else f"{between[0]:g}–{between[1]:g} s"


def _rtf(percent: int) -> Callable[[Load], str]:
    def cell(load: Load) -> str:
        rtf = load.figures.rtf
        return NOTHING if rtf is None else f"{rtf.curve[percent]:.3f}"

    return cell


def _underruns(load: Load) -> str:
    count, dry = load.figures.underruns, load.figures.dry_seconds
    return NOTHING if count is None else f"{count}, {dry:.2f} s"


_ROWS: dict[str, Callable[[Load], str]] = {
    "requests": lambda load: str(load.figures.requests),
    "ok": lambda load: str(load.figures.ok),
    "refused (429)": lambda load: str(load.figures.refused),
    "failed": lambda load: str(load.figures.failed),
    "hung": lambda load: str(load.figures.hung),
    "first audio, p50": _at("ttfa", 50),
    "first audio, p95": _at("ttfa", 95),
    "first audio, p99": _at("ttfa", 99),
    "all of it, p50": _at("whole", 50),
    "all of it, p95": _at("whole", 95),
    "RTF, p50": _rtf(50),
    "RTF, p95": _rtf(95),
    "RTFx": lambda load: f"{load.figures.rtfx:.1f}",
    "chunks in time": lambda load: _share(load.figures.in_time),
    "underruns": _underruns,
    "requests with one": lambda load: _share(load.figures.breaks),
    "429 after, p50": _at("refusal", 50),
    "429 after, p95": _at("refusal", 95),
    "Retry-After": _retry,
    "server CPU a request": lambda load: _seconds(load.server_cpu),
    "memory, peak": lambda load: _bytes(load.memory_peak),
    "memory afterwards": lambda load: _bytes(load.memory_after),
    "GPU memory": lambda load: _bytes(load.device_memory),
    "generator, CPU": lambda load: f"{load.generator_cpu:.1%}",
    "generator late, p95": _at("late", 95),
}
