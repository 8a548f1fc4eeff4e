"""Measures a request while its events pass through."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from time import perf_counter
from typing import TypeVar

from prometheus_client import Counter

from sonorant.errors import RequestError
from sonorant.observe.metrics import TaskMetrics

Event = TypeVar("Event")


async def metered(
    events: AsyncGenerator[Event, None],
    metrics: TaskMetrics,
    model: str,
    *,
    seconds: Callable[[Event], float],
    first: Callable[[Event, float], bool],
    underruns: Counter | None = None,
) -> AsyncGenerator[Event, None]:
    """The same events, observed. Closes `events` when it is closed itself.

    `seconds` is the audio that an event accounts for; `first` tells, from an event and the audio
    seconds so far, whether the caller now holds the first result. Processing time is the time spent
    waiting for `events`, so that a slow reader does not count as a slow model. `underruns` counts,
    where audio is listened to while it comes, the times that it would have run out.
    """
    began = perf_counter()
    busy = audio = 0.0
    answered = False
    runs_out = 0.0
    """when a listener has heard all that came, by the clock of `busy`"""
    outcome = "cancelled"
    metrics.active.labels(model).inc()
    try:
        while True:
            asked = perf_counter()
            try:
                event = await anext(events)
            except StopAsyncIteration:
                break
            finally:
                busy += perf_counter() - asked
            more = seconds(event)
            if underruns and answered and more and busy > runs_out:
                underruns.labels(model).inc()
                runs_out = busy
            audio, runs_out = audio + more, runs_out + more
            if not answered and first(event, audio):
                answered, runs_out = True, busy + audio
                metrics.time_to_first.labels(model).observe(perf_counter() - began)
            yield event
        outcome = "ok"
    except RequestError:
        outcome = "refused"
        raise
    except Exception:
        outcome = "failed"
        raise
    finally:
        metrics.active.labels(model).dec()
        metrics.requests.labels(model, outcome).inc()
        metrics.audio_seconds.labels(model).inc(audio)
        if outcome == "ok" and audio > 0:
            metrics.realtime_factor.labels(model).observe(busy / audio)
        await events.aclose()
