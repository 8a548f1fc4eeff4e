"""What clients and operators see of the ladders: other models, tiers, headers, metrics, /health, refusals."""

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest

from sonorant.errors import BusyError
from sonorant.gateway import Gateway
from sonorant.gateway.degrade import Degradation
from sonorant.gateway.estimate import size_of_text
from sonorant.gateway.standing import Eased
from sonorant.observe.gpus import Gpu
from sonorant.protocols.app import create_app
from sonorant.settings import (
    CacheSettings,
    DegradeSettings,
    JobSettings,
    LaneSettings,
    LimitSettings,
    MemorySettings,
    Settings,
)
from sonorant.tasks import Cost, Quality, State, Terms, Tier

ON, OFF = 'sonorant_degraded{ladder="%s",step="%s"} 1.0', 'sonorant_degraded{ladder="%s",step="%s"} 0.0'
GB = 2**30


@dataclass
class Fixed:
    """A ladder on which these steps are taken."""

    name: str
    standing: dict


def server(*replicas, steps=(), limits=None, folder=None):
    """An application, and the gateway in it."""
    settings = Settings(limits=LimitSettings(**limits or {}), jobs=JobSettings(folder=folder))
    gateway = Gateway(replicas, settings.limits, (), CacheSettings(where="memory"))
    app = create_app(gateway, settings, "1.2.3")
    if steps:
        gateway.standing.ladders = (Fixed("load", dict.fromkeys(steps, True)),)
    return app, gateway


@pytest.fixture
def speakers(fakes):
    """A usual one, one that is better and one that is quicker; the last two speak German, too."""
    return (
        fakes.speaker(name="usual", cost=Cost(0.0, 0.02)),
        fakes.speaker(name="better", cost=Cost(0.0, 0.05), languages=("en", "de")),
        fakes.speaker(name="quick", cost=Cost(0.0, 0.01), languages=("en", "de")),
        fakes.speaker(name="unmeasured"),
        fakes.speaker(name="away", cost=Cost(0.0, 0.001), state=State.UNLOADED),
    )


def say(ask, app, **fields):
    body = {"input": "Hello there.", "model": "tts-1", "response_format": "pcm"} | fields
    return ask(app, "POST", "/v1/audio/speech", json=body)


def write(ask, app, path="transcriptions", **fields):
    return ask(app, "POST", f"/v1/audio/{path}", data=fields, files={"file": ("a.wav", b"RIFF")})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "usual"),
        ({"quality": "balanced"}, "usual"),
        ({"quality": "fast"}, "quick"),
        ({"quality": "快速"}, "quick"),
        ({"quality": "high"}, "better"),
        ({"quality": "高保真", "input": "Guten Tag, wie geht es Ihnen heute?", "language": "de"}, "better"),
        ({"quality": "fast", "model": "better"}, "better"),  # by its own name it is never exchanged
    ],
)
def test_quality_chooses_among_the_models_that_fit(speakers, ask, fields, expected):
    app, _ = server(*speakers)
    assert say(ask, app, **fields).status_code == 200
    assert [r.name for r in speakers if r.asked] == [expected]


def test_a_voice_that_only_one_model_has_is_spoken_by_that_one(fakes, ask):
    usual = fakes.speaker(name="usual", cost=Cost(0.0, 0.02))
    quick = fakes.speaker(name="quick", cost=Cost(0.0, 0.01), voices=usual.voices[:1])
    app, _ = server(usual, quick)
    assert say(ask, app, quality="fast", voice="bob").status_code == 200
    assert usual.asked
    assert not quick.asked


def test_what_is_no_quality_is_refused(speakers, ask):
    app, _ = server(*speakers)
    answer = say(ask, app, quality="best")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "quality"
    assert write(ask, app, quality="best").status_code == 400


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
@pytest.mark.parametrize(
    ("fields", "steps", "told", "header"),
    [
        ({}, (), None, None),
        ({"quality": "平衡"}, (), Quality.BALANCED, None),
        ({}, (Eased.FAST,), Quality.FAST, "fast"),
        ({"quality": "high"}, (Eased.FAST,), Quality.HIGH, None),
    ],
)
def test_a_model_with_tiers_is_told_which(fakes, ask, path, fields, steps, told, header):
    ears = fakes.listener(tiers=True, translation=True)
    app, _ = server(ears, steps=steps)
    answer = write(ask, app, path, **fields)
    assert answer.headers.get("x-sonorant-degraded") == header
    assert ears.asked[0][0].quality is told


def test_a_model_without_tiers_says_the_same_and_its_answers_stay_in_the_cache(fakes, ask):
    plain = fakes.speaker(name="plain", artefact="a1")
    app, gateway = server(plain)
    assert say(ask, app).headers["x-sonorant-cache"] == "miss"
    assert say(ask, app, quality="high").headers["x-sonorant-cache"] == "hit"
    gateway.standing.ladders = (Fixed("load", {Eased.FAST: True}),)
    answer = say(ask, app)
    assert answer.headers["x-sonorant-cache"] == "hit"
    assert "x-sonorant-degraded" not in answer.headers


def test_a_model_with_tiers_keeps_an_answer_of_each(fakes, ask):
    app, _ = server(fakes.speaker(name="graded", artefact="a1", tiers=True))
    outcomes = [
        say(ask, app, quality=q).headers["x-sonorant-cache"] for q in ("high", "fast", "fast", "high")
    ]
    assert outcomes == ["miss", "miss", "hit", "hit"]


@pytest.mark.parametrize(
    ("steps", "fields", "expected", "header"),
    [
        ((Eased.FAST,), {}, "quick", "fast"),
        ((Eased.FAST,), {"quality": "high"}, "better", None),
        ((Eased.FAST,), {"model": "usual"}, "usual", None),
        ((Eased.FAST, Eased.FALLBACK), {"quality": "high"}, "quick", "fallback"),
        ((Eased.LARGER,), {}, "usual", None),
    ],
)
def test_steps_choose_another_model_where_none_is_named_and_say_so(
    speakers, ask, steps, fields, expected, header
):
    app, _ = server(*speakers, steps=steps)
    answer = say(ask, app, **fields)
    assert [r.name for r in speakers if r.asked] == [expected]
    assert answer.headers.get("x-sonorant-degraded") == header


def test_larger_batches_are_named_where_a_model_has_batches(fakes, ask):
    app, _ = server(fakes.speaker(batched=True, tiers=True), steps=(Eased.LARGER, Eased.FAST))
    assert say(ask, app).headers["x-sonorant-degraded"] == "larger-batches, fast"
    assert "x-sonorant-degraded" not in ask(app, "GET", "/v1/models").headers


def test_health_and_metrics_name_the_steps(fakes, ask):
    app, gateway = server(fakes.speaker())
    healthy = ask(app, "GET", "/health").json()
    assert (healthy["status"], healthy["steps"]) == ("ok", {})
    assert OFF % ("load", "fast") in ask(app, "GET", "/metrics").text
    gateway.standing.ladders = (
        Fixed("load", {"larger-batches": True, "fast": False}),
        Fixed("memory", {"fast": False}),
    )
    answer = ask(app, "GET", "/health")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["steps"]) == ("degraded", {"load": ["larger-batches"]})
    text = ask(app, "GET", "/metrics").text
    assert ON % ("load", "larger-batches") in text
    assert OFF % ("memory", "fast") in text


@pytest.mark.parametrize(
    ("steps", "tier", "status"),
    [
        ((Eased.REFUSE_BULK,), "flex", 429),
        ((Eased.REFUSE_BULK,), "auto", 200),
        ((Eased.REFUSE,), "auto", 429),
    ],
)
def test_at_the_top_bulk_requests_are_refused_and_then_all(fakes, ask, steps, tier, status):
    app, _ = server(fakes.speaker(), fakes.listener(), steps=steps)
    for answer in (say(ask, app, service_tier=tier), write(ask, app, service_tier=tier)):
        assert answer.status_code == status
        if status == 429:
            assert answer.headers["retry-after"] == "30"
            assert "short of memory" in answer.json()["error"]["message"]


@dataclass
class World:
    """What a server feels, by a script."""

    now: float = 0.0
    share: float = 0.5
    gpus: tuple = ()
    load: float = 0.0


def degrading(*replicas, **settings):
    world = World()
    chosen = Settings(
        lanes=LaneSettings(window_ms=10, max_frames=12_000),
        degrade=DegradeSettings(up_seconds=2, down_seconds=5),
        **{"memory": MemorySettings(budget_bytes=4 * GB)} | settings,
    )
    gateway = Gateway(replicas, chosen.limits, (), CacheSettings(where="memory"))
    gateway.admission.pressure = lambda: world.load
    ladders = Degradation(
        gateway, chosen, clock=lambda: world.now, share=lambda: world.share, gpus=lambda: world.gpus
    )
    return world, gateway, ladders


async def pass_time(world, ladders, seconds):
    for _ in range(seconds):
        await ladders.tend()
        world.now += 1


def test_under_load_the_models_gather_more_then_answer_fast_and_all_of_it_is_taken_back(fakes):
    async def main():
        voice = fakes.speaker()
        world, gateway, ladders = degrading(voice)
        world.load = 1.0
        await pass_time(world, ladders, 3)
        assert voice.tuned == [(40.0, 24_000)]
        await pass_time(world, ladders, 6)
        assert gateway.standing.steps == {"load": ["larger-batches", "fast", "fallback"]}
        world.load = 0.1
        await pass_time(world, ladders, 20)
        assert gateway.standing.steps == {}
        assert voice.tuned[1:] == [(10.0, 12_000)]

    asyncio.run(main())


def test_short_of_memory_caches_go_then_large_batches_then_idle_models_then_quality(fakes):
    async def main():
        first, second = fakes.speaker(name="first"), fakes.speaker(name="second")
        world, gateway, ladders = degrading(first, second)
        gateway.used = {"first": 10.0, "second": 5.0}
        store = gateway.cache._store
        await store.put("x", b"entry")
        world.share = 0.81
        await pass_time(world, ladders, 30)
        assert gateway.standing.steps == {"memory": ["free-caches", "smaller-batches"]}
        await store.put("y", b"entry")
        assert await store.get("x") is await store.get("y") is None
        assert first.tuned == [(10.0, 3_000)]
        world.share = 0.86
        await pass_time(world, ladders, 3)
        assert (first.state, second.state) == (State.READY, State.UNLOADED)  # the one unused for longest
        world.share = 0.84  # enough is free: nobody else has to go
        await pass_time(world, ladders, 10)
        assert first.state is State.READY
        world.share = 0.9
        await pass_time(world, ladders, 20)
        assert first.state is State.UNLOADED
        assert gateway.standing.steps["memory"][2:] == ["unload-idle", "fast"]
        world.share = 0.97
        await pass_time(world, ladders, 6)
        assert gateway.standing.steps["memory"][4:] == ["refuse-bulk", "refuse"]
        world.share = 0.5
        await pass_time(world, ladders, 60)
        assert gateway.standing.steps == {}
        assert first.tuned[1:] == [(10.0, 12_000)]
        await store.put("z", b"entry")
        assert await store.get("z") == b"entry"

    asyncio.run(main())


def test_smaller_batches_for_memory_count_more_than_larger_ones_for_load(fakes):
    async def main():
        voice = fakes.speaker()
        world, _, ladders = degrading(voice)
        world.load, world.share = 1.0, 0.82
        await pass_time(world, ladders, 8)
        assert voice.tuned[-1] == (40.0, 3_000)

    asyncio.run(main())


GPU = Gpu("0", "H100", 0.5, 78 * GB, 80 * GB)


@pytest.mark.parametrize(
    ("memory", "gpus", "settings", "top"),
    [
        (5 * GB, (), {}, "fast"),  # the models hold more than their budget
        (1 * GB, (), {}, None),
        (1 * GB, (GPU,), {}, "fast"),  # 2 GB are free
        (1 * GB, (GPU,), {"memory": MemorySettings(budget_bytes=4 * GB, gpu_free_bytes=GB)}, None),
    ],
)
def test_budget_and_gpus_press_too_and_never_make_the_server_refuse(fakes, memory, gpus, settings, top):
    async def main():
        world, gateway, ladders = degrading(fakes.speaker(memory=memory), **settings)
        world.gpus = gpus
        await pass_time(world, ladders, 60)
        assert gateway.standing.steps.get("memory", [None])[-1] == top

    asyncio.run(main())


def test_a_run_that_was_out_of_memory_takes_a_step_at_once_but_none_that_refuses(fakes):
    async def main():
        voice = fakes.speaker(exhausted=3)  # before the gateway was there
        world, gateway, ladders = degrading(voice)
        await pass_time(world, ladders, 1)
        assert gateway.standing.steps == {}
        for i in range(10):
            voice.exhausted += 1
            await pass_time(world, ladders, 1)
            assert len(gateway.standing.steps["memory"]) == min(i + 1, 4)
        await pass_time(world, ladders, 40)
        assert gateway.standing.steps == {}

    asyncio.run(main())


def test_the_pressure_of_load_is_what_requests_find(fakes):
    busy = fakes.speaker(cost=Cost(0.0, 0.05))
    gateway = Gateway([busy], LimitSettings())
    admission, now = gateway.admission, [100.0]
    admission._clock = lambda: now[0]
    assert admission.pressure() == 0.0
    size = size_of_text("A sentence of about forty characters ok. " * 4, 1.0, busy.cost)
    with ExitStack() as held:
        held.enter_context(admission.admit(busy, size, Terms()))
        assert admission.pressure() == 0.0  # the first found nobody
        for _ in range(50):
            with suppress(BusyError):
                held.enter_context(admission.admit(busy, size, Terms()))
        assert 0.7 < admission.pressure() <= 1.0
        bulk = Terms(tier=Tier.BULK)
        now[0] += 5.1
        held.enter_context(admission.admit(busy, size, bulk))
        assert admission.pressure() == 0.0


def test_a_text_that_is_too_long_is_cut_at_a_sentence_where_that_is_configured(fakes, ask):
    voice = fakes.speaker()
    text = "One and two. " * 10
    app, _ = server(voice, limits={"text_characters": 30, "overlong": "cut"})
    answer = say(ask, app, input=text)
    assert answer.status_code == 200
    assert voice.asked[0][1] == "One and two. One and two."
    warning = "The text has 130 characters; only the first 25 are spoken"
    assert answer.headers["x-sonorant-warning"] == warning
    assert "x-sonorant-warning" not in say(ask, app, input="One and two.").headers
    markup = say(ask, app, input=f"<speak>{text}</speak>")
    assert markup.status_code == 400  # cut in two it is no markup
    strict, _ = server(voice, limits={"text_characters": 30})
    assert say(ask, strict, input=text).status_code == 400
