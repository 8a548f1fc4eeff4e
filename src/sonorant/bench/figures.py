"""From outcomes to figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sonorant.bench.loads import Kind, Ran


@dataclass(frozen=True)
class Percentiles:
    """Of a number of values; `curve` has them all, sorted, at most 101 of them."""

    p50: float
    p95: float
    p99: float
    most: float
    curve: tuple[float, ...] = field(repr=False)
    """the value at each whole percent, 0 to 100"""

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles | None:
        """None where there is no value. Between two values it is interpolated (numpy's "linear")."""
        if not values:
            return None
        curve = tuple(float(value) for value in np.percentile(values, range(101)))
        return cls(curve[50], curve[95], curve[99], curve[100], curve)


@dataclass(frozen=True)
class Figures:
    """Of one load. Times in seconds, those of requests that ended well; None = there were none."""

    requests: int
    ok: int
    refused: int
    """429"""
    failed: int
    hung: int
    reasons: dict[str, int]
    """of the failed ones"""
    wall: float
    throughput: float
    """requests that ended well, a second"""
    rtfx: float
    """audio seconds a second"""
    whole: Percentiles | None
    """time until all of the answer was there"""
    rtf: Percentiles | None
    """that time / audio time"""
    ttfa: Percentiles | None
    """time to first audio from which playback never runs dry"""
    first_audio: Percentiles | None
    """until 100 ms of sound were there"""
    in_time: float | None
    """viability: the share of chunks that were there when playback from `first_audio` on needed them"""
    underruns: int | None
    dry_seconds: float | None
    """silence of all underruns together"""
    breaks: float | None
    """the share of requests with an underrun"""
    refusal: Percentiles | None
    """time until 429"""
    retry_after: tuple[float, float] | None
    """the least and the most that those said"""
    late: Percentiles | None
    """of an open loop: how much later than due the generator sent"""


def figures(ran: Ran) -> Figures:
    """Sum up a load."""
    kinds = Counter(outcome.kind for outcome in ran.outcomes)
    good = [(o, o.reply) for o in ran.outcomes if o.kind is Kind.OK and o.reply is not None]
    listened = [reply.heard for _, reply in good if reply.heard is not None]
    chunks = sum(one.chunks for one in listened)
    retry = [o.retry_after for o in ran.outcomes if o.retry_after is not None]
    return Figures(
        requests=len(ran.outcomes),
        ok=kinds[Kind.OK],
        refused=kinds[Kind.REFUSED],
        failed=kinds[Kind.FAILED],
        hung=kinds[Kind.HUNG],
        reasons=dict(Counter(o.reason for o in ran.outcomes if o.kind is Kind.FAILED).most_common()),
        wall=ran.wall,
        throughput=len(good) / ran.wall,
        rtfx=sum(reply.audio for _, reply in good) / ran.wall,
        whole=Percentiles.of([outcome.seconds for outcome, _ in good]),
        rtf=Percentiles.of([outcome.seconds / reply.audio for outcome, reply in good]),
        ttfa=Percentiles.of([one.ttfa for one in listened]),
        first_audio=Percentiles.of([one.first_audio for one in listened]),
        in_time=sum(one.in_time for one in listened) / chunks if chunks else None,
        underruns=sum(one.underruns for one in listened) if listened else None,
        dry_seconds=sum(one.dry_seconds for one in listened) if listened else None,
        breaks=sum(one.underruns > 0 for one in listened) / len(listened) if listened else None,
        refusal=Percentiles.of([o.seconds for o in ran.outcomes if o.kind is Kind.REFUSED]),
        retry_after=(min(retry), max(retry)) if retry else None,
        late=Percentiles.of(ran.late),
    )
