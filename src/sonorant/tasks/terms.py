"""On what terms a request is answered: for whom, how soon, how good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sonorant.errors import RequestError


class Tier(StrEnum):
    """How urgent a request is."""

    INTERACTIVE = "interactive"
    """somebody listens, or waits"""
    BULK = "bulk"
    """whenever nothing interactive wants the device, and never much later than that"""


class Quality(StrEnum):
    """How good an answer is to be, and how soon it is there. Where no model is named it chooses that, too."""

    HIGH = "high"
    BALANCED = "balanced"
    FAST = "fast"

    @classmethod
    def _missing_(cls, value: object) -> Quality | None:
        return _QUALITIES.get(value) if isinstance(value, str) else None

    @classmethod
    def of(cls, word: str) -> Quality | None:
        """What a word means, in English or Chinese; "" = None, the server's. Raises RequestError."""
        try:
            return cls(word) if word else None
        except ValueError:
            raise RequestError(
                f"No quality is called {word[:40]!r}",
                remedy=f"Choose {', '.join(cls)}, or in Chinese {', '.join(_QUALITIES)}",
                param="quality",
            ) from None


_QUALITIES = {"高保真": Quality.HIGH, "平衡": Quality.BALANCED, "快速": Quality.FAST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For whom and how soon a request is answered. They travel with it down to the device."""

    id: str = ""
    """the request's name in logs, traces and messages"""
    tenant: str = ""
    """whose request it is: shares, limits and caches are kept apart by it; never a key itself"""
    tier: Tier = Tier.INTERACTIVE
    within: float | None = None
    """seconds after its arrival in which the first audio or text is wanted; None = as soon as may be"""
    trace: str = ""
    """the span that it belongs to, as W3C traceparent ("00-…-…-01"); "" = it is not traced"""
