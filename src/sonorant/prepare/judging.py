"""Whether anybody would notice: the model on prepared artefacts beside the publisher's own, in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sonorant.library import Model
from sonorant.networks.prepared import TRIAL
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.quality import measure
from sonorant.settings import Settings


def listened(
    model: str, settings: Settings, recipe: str, allow: str, report: Callable[[float, str], None]
) -> dict[str, Any]:
    """What the gate says, as `Quality.of` reads it. Blocks.

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
    return asdict(judge(figures, thresholds(), allow=allow))


def _with(settings: Settings, precision: str) -> Settings:
    """The same with a precision for all networks; it may be a trial, which no file of settings may name."""
    return settings.model_copy(update={"precision": precision, "networks": {}})
