"""For whom and how soon a request is answered, as HTTP says it."""

from __future__ import annotations

from typing import Literal

from fastapi import Request

from sonorant.tasks import Quality, Terms, Tier

ServiceTier = Literal["auto", "default", "priority", "scale", "flex", "interactive", "bulk"]
"""OpenAI's words and ours"""


QualityWord = Literal["high", "balanced", "fast", "高保真", "平衡", "快速"]
QUALITY = (
    "Extension: high (高保真), balanced (平衡) or fast (快速), for models that have tiers; it also chooses "
    "the model where none is named"
)


def quality(word: QualityWord | None) -> Quality | None:
    """None = the server's."""
    return Quality(word) if word else None


def terms(request: Request, tier: ServiceTier | None, first_audio_ms: int | None = None) -> Terms:
    """The id and the tenant that the layers around have found, and what the request asks for."""
    return Terms(
        id=request.state.request_id,
        tenant=request.state.tenant,
        tier=Tier.BULK if tier == "flex" or tier == "bulk" else Tier.INTERACTIVE,
        within=None if first_audio_ms is None else first_audio_ms / 1000,
    )
