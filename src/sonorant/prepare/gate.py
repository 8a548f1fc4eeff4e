"""The gate: what was measured of a candidate against what it may lose.

    verdict = judge(figures, thresholds())
    if not verdict.passed:
        print(*verdict.lines(), sep="\\n")

A measure that is missing does not pass: the verdict is then "not measured".
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Literal

from sonorant.errors import RequestError
from sonorant.prepare.quality.figures import Figures

Outcome = Literal["passed", "failed", "not measured"]


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

_HOLE = re.compile(r"\{(\w+)[^}]*\}")
"""of a sentence in thresholds.toml"""
RELAXED = ("int8",)
"""precisions that thresholds.toml knows a wider bound for"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure that failed, or passed only because an operator allowed more."""

    figure: str
    value: float
    bound: float
    unit: str
    interval: tuple[float, float] | None
    worst: int | None
    """the item that shows it most"""
    means: Mapping[str, str]
    mends: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and on what grounds."""

    kind: str
    outcome: Outcome
    failed: tuple[Finding, ...]
    """the one that is furthest beyond its bound first"""
    unmeasured: Mapping[str, str]
    """figure → why it is missing"""
    allowed: tuple[Finding, ...]
    """beyond the usual bound, within that of `allow`"""
    allow: str
    """the precision whose wider bounds the operator chose; "" = none"""
    bounds: Mapping[str, float]
    """figure → the bound that it was held to"""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    def to_dict(self) -> dict[str, Any]:
        """For JSON, the outcome first."""
        return {"outcome": self.outcome, **asdict(self)}

    def lines(self, language: str = "en") -> list[str]:
        """The verdict in sentences, in English or Chinese ("zh")."""
        return _lines(self, "zh" if language.startswith("zh") else "en")


def judge(figures: Figures, thresholds: Thresholds, *, allow: str = "") -> Verdict:
    """Hold each figure to its threshold.

    allow: "int8" where the operator chose to give a quantised artefact the wider bounds. Raises RequestError
    for a kind that has no thresholds, and for a precision that none are known for.
    """
    if figures.kind not in thresholds:
        raise RequestError(
            f"There are no thresholds for {figures.kind!r}", remedy=f"Choose {', '.join(thresholds)}"
        )
    if allow and allow not in RELAXED:
        raise RequestError(
            f"There are no wider thresholds for {allow!r}", remedy=f"Choose {', '.join(RELAXED)}, or none"
        )
    failed, allowed, unmeasured, bounds = [], [], {}, {}
    for name, threshold in thresholds[figures.kind].items():
        if threshold.aligned and figures.varied:
            continue
        figure = figures.values.get(name)
        if figure is None:
            unmeasured[name] = figures.unmeasured.get(name, "it is not among the figures")
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
            allowed.append(finding)
    failed.sort(key=_excess, reverse=True)
    outcome: Outcome = "failed" if failed else "not measured" if unmeasured else "passed"
    return Verdict(figures.kind, outcome, tuple(failed), unmeasured, tuple(allowed), allow, bounds)


def translated(line: str, language: str) -> str:
    """A line of a verdict, as proofs keep it in English, in another language; "" = it is none."""
    if not language.startswith("zh"):
        return ""
    for pattern, sentence, known in _translations():
        if found := pattern.fullmatch(line):
            filled = {
                name: known.get(text) or translated(text, language) or text
                for name, text in found.groupdict().items()
            }
            return sentence.format(**filled)
    return ""


@functools.cache
def _translations() -> list[tuple[re.Pattern[str], str, dict[str, str]]]:
    """Of each sentence: what it is recognised by in English, the Chinese, and that of what may fill it."""
    data = _data()
    tables = [table for kind, table in data.items() if kind not in ("mend", "words")]
    said = [entry["means"] for table in tables for entry in table.values() if isinstance(entry, dict)]
    known = {each["en"]: each["zh"] for each in (*said, *data["mend"].values())}
    found = []
    for sentence in data["words"].values():
        pieces = _HOLE.split(sentence["en"])
        holes = [f"(?P<{name}>.*?)" for name in pieces[1::2]]
        pattern = "".join(
            re.escape(text) + hole for text, hole in zip(pieces[::2], [*holes, ""], strict=True)
        )
        found.append((re.compile(pattern), _HOLE.sub(r"{\1}", sentence["zh"]), known))
    return found


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


def _lines(verdict: Verdict, language: str) -> list[str]:
    words = {name: sentence[language] for name, sentence in _data()["words"].items()}
    count = {"passed": len(verdict.bounds), "failed": len(verdict.failed)}
    lines = [
        words[verdict.outcome].format(
            count=count.get(verdict.outcome, len(verdict.unmeasured)), all=len(verdict.bounds)
        )
    ]
    for found in verdict.failed:
        where = "" if found.worst is None else words["where"].format(n=found.worst + 1)
        low, high = found.interval or (0.0, 0.0)
        form = "beyond" if not found.value <= found.bound else "drop"
        lines.append(
            words[form].format(
                name=found.figure, value=found.value, unit=found.unit, bound=found.bound, where=where,
                low=low, high=high, means=found.means[language],
            )
        )  # fmt: skip
        lines += [words["mend"].format(mend=mend[language]) for mend in found.mends]
    lines += [words["missing"].format(name=name, why=why) for name, why in verdict.unmeasured.items()]
    for found in verdict.allowed:
        lines.append(
            words["allowed"].format(
                name=found.figure, value=found.value, unit=found.unit, allow=verdict.allow
            )
        )
    return lines
