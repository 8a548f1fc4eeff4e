"""Where a report goes: the terminal, JSON, a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from sonorant.bench.plot import svg
from sonorant.bench.report import Report
from sonorant.bench.table import Say, figures_table, summary, verdict_table
from sonorant.bench.targets import Verdict
from sonorant.errors import unwritable


def show(report: Report, verdicts: tuple[Verdict, ...], console: Console, say: Say) -> None:
    """Print tables."""
    console.print(figures_table(report, say))
    for line in summary(report, say):
        console.print(line, highlight=False, markup=False)
    if verdicts:
        console.print()
        console.print(verdict_table(verdicts, say))


def as_json(report: Report, verdicts: tuple[Verdict, ...]) -> str:
    """All figures; seconds and bytes throughout."""
    tree: dict[str, Any] = report.tree()
    tree["goals"] = [
        {
            "figure": verdict.goal.figure,
            verdict.goal.sense.value: verdict.goal.bound,
            "measured": verdict.value,
            "kept": verdict.kept,
        }
        for verdict in verdicts
    ]
    return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"


def as_svg(report: Report, verdicts: tuple[Verdict, ...]) -> str:
    """Curves, with the bound of a target on the time to first audio."""
    bounds = (v.goal.bound for v in verdicts if v.goal.figure.startswith("ttfa"))
    return svg(report, next(bounds, None))


def write(path: Path, text: str) -> None:
    """Raises RequestError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error, param="o") from error
