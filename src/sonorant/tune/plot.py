"""What was measured as points: throughput against what it costs, in the terminal and as an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from sonorant.bench.plot import Line, Panel, drawing
from sonorant.tune.rows import OBJECTIVE, Row
from sonorant.tune.session import Verdict
from sonorant.tune.slo import amount

WIDE, HIGH = 64, 14
"""characters of the plot in the terminal"""
CHOSEN, FRONT, IN_FORCE, OTHER = "★", "●", "○", "·"
TITLES = {"ttfa_p95": "first audio, p95", "latency_p95": "all of it, p95", "memory": "memory, peak"}
SCALE = {"ttfa_p95": 1e3, "latency_p95": 1e3, "memory": 1e-6}
"""of a figure in the SVG: milliseconds, megabytes"""


def mark(row: Row, verdict: Verdict) -> str:
    """What stands for a row: the strongest that holds for it."""
    if verdict.chosen is not None and row.candidate == verdict.chosen.candidate:
        return CHOSEN
    if verdict.base is not None and row.candidate == verdict.base.candidate:
        return IN_FORCE
    return FRONT if row in verdict.front else OTHER


def lines(verdict: Verdict) -> list[str]:
    """Throughput to the right, the second figure of the front upwards (logarithmic); [] where there are not
    two points to compare."""
    name = verdict.axes[1]
    points = _points(verdict.rows, name)
    if len({point for _, point in points}) < 2:
        return []
    xs, ys = [x for _, (x, _) in points], [log10(y) for _, (_, y) in points]
    grid = [[" "] * WIDE for _ in range(HIGH)]
    strength = f" {OTHER}{FRONT}{IN_FORCE}{CHOSEN}"
    for row, (x, y) in points:
        column = round((x - min(xs)) / ((max(xs) - min(xs)) or 1.0) * (WIDE - 1))
        line = HIGH - 1 - round((log10(y) - min(ys)) / ((max(ys) - min(ys)) or 1.0) * (HIGH - 1))
        grid[line][column] = max(grid[line][column], mark(row, verdict), key=strength.index)
    most, least = amount(name, 10 ** max(ys)), amount(name, 10 ** min(ys))
    edge = max(len(most), len(least))
    names = [most, *[""] * (HIGH - 2), least]
    drawn = [f"{label:>{edge}} │{''.join(cells)}" for label, cells in zip(names, grid, strict=True)]
    left, right = amount(OBJECTIVE, min(xs)), amount(OBJECTIVE, max(xs))
    drawn.append(f"{'':>{edge}} └{'─' * WIDE}")
    drawn.append(f"{'':>{edge}}  {left}{right:>{WIDE - len(left)}}")
    return drawn


def svg(verdict: Verdict) -> str:
    """A panel for each figure that is weighed against throughput."""
    kinds = {CHOSEN: "chosen", IN_FORCE: "in force", FRONT: "on the front", OTHER: "others"}
    panels = []
    for name in verdict.axes[1:]:
        bound = next((goal.bound for goal in verdict.slo.goals if goal.figure == name), None)
        found = _points(verdict.rows, name)
        groups = [
            Line(title, [(x, y * SCALE[name]) for row, (x, y) in found if mark(row, verdict) == sign], False)
            for sign, title in kinds.items()
        ]
        unit = "MB" if name == "memory" else "ms"
        title = f"{TITLES[name]}, with {verdict.clients} clients"
        panels.append(
            Panel(
                title,
                "seconds of audio a second",
                unit,
                [group for group in groups if group.points],
                bound * SCALE[name] if bound else None,
            )
        )
    return drawing(panels)


def _points(rows: Sequence[Row], name: str) -> list[tuple[Row, tuple[float, float]]]:
    found = []
    for row in rows:
        x, y = row.value(OBJECTIVE), row.value(name)
        if x is not None and y and not row.fault:
            found.append((row, (x, y)))
    return found
