"""A report as an SVG: percentile curves of each load, and how the percentiles grow with the load.

Some lines and labels need no library: matplotlib and what it brings are larger than Sonorant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from math import log10

from sonorant.bench.figures import Percentiles
from sonorant.bench.report import Load, Report

WIDTH, HEIGHT = 540, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 104, 40, 52
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
"""Paul Tol's "bright" scheme, told apart by the colour-blind, too"""


@dataclass(frozen=True)
class Line:
    """A line of a panel, of points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]
    joined: bool = True
    """or each of them by itself"""


@dataclass(frozen=True)
class Panel:
    """Axes with lines in them. The one upwards is logarithmic: an overload would flatten all other lines."""

    title: str
    across: str
    up: str
    lines: Sequence[Line]
    bound: float | None = None
    """a dashed line at this height: what a target wants"""


def svg(report: Report, bound: float | None = None) -> str:
    """Two panels: time to first audio, or of the whole where nothing was spoken. `bound`: seconds."""
    spoken = any(load.figures.ttfa for load in report.loads)
    title = "time to first audio" if spoken else "time of the whole"

    def found(load: Load) -> Percentiles | None:
        return load.figures.ttfa if spoken else load.figures.whole

    curves = [
        Line(_name(load), [(float(x), y * 1000) for x, y in enumerate(values.curve)])
        for load in report.loads
        if (values := found(load))
    ]
    grown = [
        Line(
            f"p{percent}",
            [(load.clients or 0, v.curve[percent] * 1000) for load in report.closed if (v := found(load))],
        )
        for percent in (50, 95, 99)
    ]
    bound = bound * 1000 if bound else None
    panels = [
        Panel(f"{title}, by percentile", "% of requests", "ms", curves, bound),
        Panel(f"{title}, by load", "clients", "ms", grown, bound),
    ]
    return drawing(panels)


def drawing(panels: Sequence[Panel]) -> str:
    """Panels side by side as an SVG, those left out that have no points."""
    drawn = "".join(
        f'<g transform="translate({i * WIDTH} 0)">{_drawn(panel)}</g>'
        for i, panel in enumerate(panel for panel in panels if any(line.points for line in panel.lines))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f"{drawn}</svg>\n"
    )


def _name(load: Load) -> str:
    if load.clients:
        return f"{load.clients} clients" if load.clients > 1 else "1 client"
    return f"{load.rate:.3g} requests/s"


def _drawn(panel: Panel) -> str:
    points = list(chain.from_iterable(line.points for line in panel.lines))
    most_x = max(x for x, _ in points) or 1.0
    heights = [y for _, y in points] + ([panel.bound] if panel.bound else [])
    low, most_y = log10(0.9 * min(heights)), log10(1.1 * max(heights))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> str:
        return f"{LEFT + x / most_x * wide:.1f},{TOP + (most_y - log10(y)) / (most_y - low) * high:.1f}"

    parts = [
        f'<text x="{LEFT}" y="16" font-size="13">{escape(panel.title)}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(panel.across)}</text>',
        f'<text x="8" y="{TOP - 8}">{escape(panel.up)}</text>',
    ]
    for value in _round_numbers(low, most_y):
        y = at(0, value).partition(",")[2]
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{value:g}</text>')
    for value in _ticks(most_x):
        x = at(value, 1).partition(",")[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    if panel.bound:
        ends = f"{at(0, panel.bound)} {at(most_x, panel.bound)}"
        parts.append(f'<polyline points="{ends}" stroke="#000" stroke-dasharray="5 4" fill="none"/>')
    for i, line in enumerate(panel.lines):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(at(x, y) for x, y in line.points)
        if line.joined:
            parts.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        for point in line.points if len(line.points) < 20 or not line.joined else ():
            cx, cy = at(*point).split(",")
            parts.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>')
        y_name = TOP + 12 + 14 * i
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{y_name}" fill="{colour}">{escape(line.name)}</text>')
    return "".join(parts)


def _ticks(most: float) -> list[float]:
    """Four to nine round numbers from 0 on, none larger than `most`."""
    step = 10.0 ** _exponent(most)
    step *= next(factor for factor in (0.1, 0.2, 0.5, 1, 2, 5) if most / (step * factor) < 9)
    return [round(i * step, 10) for i in range(int(most / step) + 1)]


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … whose logarithms lie between two; only powers of ten where these are far apart."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    numbers = [f * 10.0**power for power in range(int(low) - 1, int(high) + 2) for f in factors]
    return [number for number in numbers if low <= log10(number) <= high]


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
