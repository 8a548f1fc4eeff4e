"""The gate: what was measured of a candidate against what it may lose.

    verdict = judge(figures, thresholds())
    if not verdict.passed:
        print(*sentences(verdict), sep="\\n")

A measure that is missing does not pass: the outcome is then "not measured".
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sonorant.errors import RequestError
from sonorant.locale import translated
from sonorant.networks.proof import Finding, Note, Quality
from sonorant.prepare.quality.figures import Figures


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one figure may be, and why."""

    most: float
    unit: str
    reason: str
    means: Mapping[str, str]
    """language → what it usually means when it fails"""
    mends: tuple[Mapping[str, str], ...]
    """language → a pass or an option that mends it, the likeliest first"""
    varied: float | None = None
    """in place of `most` where the reference differs from itself; between the two a figure passes only if its
    interval includes no change"""
    relaxed: Mapping[str, float] | None = None
    """precision → what an operator may allow it by choice"""
    interval: bool = False
    """it fails, too, where the whole interval lies above 0"""
    aligned: bool = False
    """asked only where signals can be laid sample over sample"""

    def bound(self, varied: bool, allow: str = "") -> float:
        usual = self.varied if varied and self.varied is not None else self.most
        return max(usual, (self.relaxed or {}).get(allow, usual))


Thresholds = Mapping[str, Mapping[str, Threshold]]
"""kind → figure → threshold"""

RELAXED = ("int8",)
"""precisions that thresholds.toml knows a wider bound for"""


def judge(figures: Figures, thresholds: Thresholds, *, allow: str = "") -> Quality:
    """Hold each figure to its threshold.

    allow: "int8" where the operator chose to give a quantised artefact the wider bounds. Raises RequestError
    for a kind that has no thresholds, and for a precision that none are known for.
    """
    if figures.kind not in thresholds:
        raise RequestError(
            f"There are no thresholds for {figures.kind!r}", remedy=f"Choose {', '.join(thresholds)}"
        )
    check_allowed(allow)
    failed, excused, unmeasured, bounds = [], [], {}, {}
    for name, threshold in thresholds[figures.kind].items():
        if threshold.aligned and figures.varied:
            continue
        figure = figures.values.get(name)
        if figure is None:
            unmeasured[name] = figures.unmeasured.get(name, Note("it is not among the figures"))
            continue
        bound = bounds[name] = threshold.bound(figures.varied, allow)
        low = figure.interval[0] if figure.interval else 0.0
        finding = Finding(
            name, figure.value, bound, threshold.unit, figure.interval, figure.worst,
            threshold.means, threshold.mends,
        )  # fmt: skip
        sure = threshold.interval or figure.value > threshold.bound(False, allow)
        if not figure.value <= bound or (sure and low > 0):  # NaN is beyond every bound
            failed.append(finding)
        elif figure.value > threshold.bound(figures.varied):
            excused.append(finding)
    failed.sort(key=_excess, reverse=True)
    values = {name: figure.value for name, figure in figures.values.items()}
    others = RELAXED if failed and not allow else ()
    wider = next((each for each in others if not judge(figures, thresholds, allow=each).failed), "")
    return Quality(values, tuple(failed), allow, bounds, unmeasured, tuple(excused), wider)


def check_allowed(allow: str) -> None:
    """Raises RequestError for a precision that no wider bounds are known for; "" = none is asked for."""
    if allow and allow not in RELAXED:
        raise RequestError(
            f"There are no wider thresholds for {allow!r}",
            remedy=f"Choose {', '.join(RELAXED)}, or none",
            param="allow",
        )


def sentences(verdict: Quality, language: str = "en") -> list[str]:
    """The verdict in English or Chinese ("zh")."""
    return list(_sentences(verdict, "zh" if language.startswith("zh") else "en"))


def _sentences(verdict: Quality, language: str) -> Iterator[str]:
    words = {name: sentence[language] for name, sentence in _data()["words"].items()}
    count = {"failed": verdict.failed, "not measured": verdict.unmeasured, "passed": verdict.bounds}
    yield words[verdict.outcome].format(count=len(count[verdict.outcome]), all=len(verdict.bounds))
    for found in verdict.failed:
        where = "" if found.worst is None else words["where"].format(n=found.worst + 1)
        low, high = found.interval or (0.0, 0.0)
        form = "beyond" if not found.value <= found.bound else "drop"
        yield words[form].format(
            name=found.figure, value=found.value, unit=found.unit, bound=found.bound, where=where,
            low=low, high=high, means=found.means[language],
        )  # fmt: skip
        for mend in found.mends:
            yield words["mend"].format(mend=mend[language])
    for name, why in verdict.unmeasured.items():
        yield words["missing"].format(name=name, why=translated(why, language))
    for found in verdict.excused:
        yield words["allowed"].format(
            name=found.figure, value=found.value, unit=found.unit, allow=verdict.allowed
        )
    if verdict.wider:
        yield words["wider"].format(allow=verdict.wider)


def _excess(finding: Finding) -> float:
    """How many times its bound a figure is."""
    return finding.value / finding.bound if finding.bound else float("inf")


@functools.cache
def thresholds() -> Thresholds:
    """Those of thresholds.toml."""
    data = _data()
    tables = {kind: table for kind, table in data.items() if kind not in ("mend", "words")}
    return {
        kind: {name: _threshold(entry, data["mend"]) for name, entry in tables[table.get("as", kind)].items()}
        for kind, table in tables.items()
    }


@functools.cache
def _data() -> dict[str, Any]:
    text = resources.files("sonorant.prepare").joinpath("thresholds.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _threshold(entry: Mapping[str, Any], mends: Mapping[str, Mapping[str, str]]) -> Threshold:
    return Threshold(
        float(entry["most"]),
        entry["unit"],
        entry["reason"],
        entry["means"],
        tuple(mends[name] for name in entry["mend"]),
        entry.get("varied"),
        {name: float(entry[name]) for name in RELAXED if name in entry},
        entry.get("interval", False),
        entry.get("aligned", False),
    )
