"""What was measured of a candidate beside its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sonorant.networks.proof import Note

RESAMPLES = 10_000
"""draws of a bootstrap, always of the same seed"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure. Larger is worse, and 0 is no change."""

    value: float
    interval: tuple[float, float] | None = None
    """the middle 95% of a bootstrap over the items; None = there is no sampling in it"""
    worst: int | None = None
    """the item (sentence, recording) that shows it most"""


@dataclass(slots=True)
class Figures:
    """All measures of one comparison."""

    kind: str
    """which table of thresholds.toml holds the bounds"""
    items: int
    """sentences or recordings that were compared"""
    varied: bool = False
    """the reference itself answers differently each time: nothing can be laid sample over sample"""
    values: dict[str, Figure] = field(default_factory=dict)
    unmeasured: dict[str, Note] = field(default_factory=dict)
    """measure → why it is missing"""
    judges: dict[str, str] = field(default_factory=dict)
    """who listened: role → model and revision"""

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what stands in a proof."""
        return {
            "kind": self.kind,
            "items": self.items,
            "varied": self.varied,
            "values": {
                name: {"value": figure.value, "interval": figure.interval, "worst": figure.worst}
                for name, figure in self.values.items()
            },
            "unmeasured": dict(self.unmeasured),
            "judges": dict(self.judges),
        }


def largest(by_item: Sequence[float]) -> Figure:
    """The worst item counts."""
    worst = int(np.argmax(by_item))
    return Figure(float(by_item[worst]), worst=worst)


def mean(by_item: Sequence[float]) -> Figure:
    """The mean counts, with its interval."""
    return ratio(by_item, np.ones(len(by_item)))


def ratio(parts: Sequence[float], wholes: Sequence[float] | np.ndarray[Any, Any]) -> Figure:
    """Sum of parts / sum of wholes; the bootstrap draws items, each with both (paired)."""
    above, below = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    draws = np.random.default_rng(0).integers(len(above), size=(RESAMPLES, len(above)))
    low, high = np.percentile(above[draws].sum(1) / below[draws].sum(1), (2.5, 97.5))
    return Figure(float(above.sum() / below.sum()), (float(low), float(high)), int(above.argmax()))
