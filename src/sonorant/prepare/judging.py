"""Whether anybody would notice: the model on prepared artefacts beside the publisher's own, in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sonorant.library import Model
from sonorant.networks.prepared import TRIAL
from sonorant.networks.proof import Quality
from sonorant.prepare.gate import RELAXED, judge, thresholds
from sonorant.prepare.quality import measure
from sonorant.settings import Settings


def listened(
    model: str, settings: Settings, recipe: str, allow: str, report: Callable[[float, str], None]
) -> dict[str, Any]:
    """The gate's outcome, its figures, what it says, and of what failed the value and the bound. Blocks.

    Raises what loading the models raises, and what measuring them lacks.
    """
    reference = Model(model, _with(settings, "float32"))
    try:
        candidate = Model(model, _with(settings, TRIAL + recipe))
        try:
            figures = measure(reference, candidate, watch=report)
        finally:
            candidate.close()
    finally:
        reference.close()
    verdict = judge(figures, thresholds(), allow=allow)
    lines = verdict.lines()
    if verdict.outcome == "failed" and not allow:
        wider = [name for name in RELAXED if judge(figures, thresholds(), allow=name).outcome != "failed"]
        lines += [f"With --allow {name} it would be good enough" for name in wider]
    return {
        "outcome": verdict.outcome,
        "figures": {name: figure.value for name, figure in figures.values.items()},
        "lines": lines,
        "allowed": allow,
        "failed": {found.figure: [found.value, found.bound] for found in verdict.failed},
    }


def quality(told: dict[str, Any]) -> Quality | None:
    """What is entered into proofs; None = not measured."""
    if told["outcome"] == "not measured":
        return None
    failed = () if told["outcome"] == "passed" else tuple(map(str, told["lines"]))
    figures = {str(name): float(value) for name, value in told["figures"].items()}
    return Quality(figures, failed, str(told["allowed"]))


def _with(settings: Settings, precision: str) -> Settings:
    """The same with a precision for all networks; it may be a trial, which no file of settings may name."""
    return settings.model_copy(update={"precision": precision, "networks": {}})
