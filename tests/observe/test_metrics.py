"""Figures of requests, measured as their events pass."""

import asyncio

import pytest

from sonorant.errors import TextError
from sonorant.gateway.metering import metered
from sonorant.observe.metrics import Metrics


def observe(metrics: Metrics, events, take: int | None = None) -> None:
    """Run a request of audio lengths through the meter; `take` events, then leave."""

    async def main() -> None:
        stream = metered(
            events(), metrics.speech, "hibari", seconds=lambda s: s, first=lambda _, audio: audio >= 0.1
        )
        count = 0
        async for _ in stream:
            count += 1
            if count == take:
                break
        await stream.aclose()

    asyncio.run(main())


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, {"model": "hibari", **labels})
    return 0.0 if found is None else found


def test_a_whole_request():
    async def events():
        for seconds in (0.0, 0.06, 0.06, 1.0):
            yield seconds

    metrics = Metrics([])
    observe(metrics, events)
    assert value(metrics, "tts_requests_total", status="ok") == 1
    assert value(metrics, "tts_audio_seconds_total") == pytest.approx(1.12)
    assert value(metrics, "tts_time_to_first_audio_seconds_count") == 1
    assert value(metrics, "tts_realtime_factor_count") == 1
    assert value(metrics, "tts_active_requests") == 0


def test_a_header_is_not_the_first_audio():
    async def events():
        yield 0.0
        yield 0.05

    metrics = Metrics([])
    observe(metrics, events)
    assert value(metrics, "tts_time_to_first_audio_seconds_count") == 0


def test_a_request_that_is_left_closes_its_source():
    closed = []

    async def events():
        try:
            while True:
                yield 0.5
        finally:
            closed.append(True)

    metrics = Metrics([])
    observe(metrics, events, take=2)
    assert closed == [True]
    assert value(metrics, "tts_requests_total", status="cancelled") == 1
    assert value(metrics, "tts_realtime_factor_count") == 0
    assert value(metrics, "tts_active_requests") == 0


@pytest.mark.parametrize(("error", "status"), [(TextError("no"), "refused"), (OSError("no"), "failed")])
def test_errors_are_told_apart(error, status):
    async def events():
        yield 0.5
        raise error

    metrics = Metrics([])
    with pytest.raises(type(error)):
        observe(metrics, events)
    assert value(metrics, "tts_requests_total", status=status) == 1
    assert value(metrics, "tts_active_requests") == 0


def test_each_server_has_a_registry_of_its_own():
    assert b"tts_time_to_first_audio_seconds" in Metrics([]).text()
    assert b"asr_time_to_first_text_seconds" in Metrics([]).text()


@pytest.mark.parametrize(("waits", "underruns"), [((0.1, 0.1), 0), ((0.1, 0.5), 1), ((0.3, 0.3), 2)])
def test_a_listener_who_would_run_out_of_audio(waits, underruns, monkeypatch):
    """Chunks of 0.2 s. One that comes late moves what is due, so that the next is not late for its sake."""
    clock = [0.0]
    monkeypatch.setattr("sonorant.gateway.metering.perf_counter", lambda: clock[0])

    async def events():
        yield 0.2
        for wait in waits:
            clock[0] += wait
            yield 0.2

    metrics = Metrics([])

    async def main() -> None:
        stream = metered(events(), metrics.speech, "hibari", seconds=lambda s: s, first=lambda *_: True,
                         underruns=metrics.speech.underruns)  # fmt: skip
        assert [seconds async for seconds in stream] == [0.2] * (1 + len(waits))

    asyncio.run(main())
    assert value(metrics, "tts_underruns_total") == underruns
