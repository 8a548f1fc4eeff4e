"""What is spoken once: kept, joined, bypassed, purged, and never given for anything else."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from time import time

import pytest

from sonorant.errors import EngineError
from sonorant.gateway.cache import Caching, SpeechCache, entry, key_of, opened
from sonorant.gateway.voice_store import VoiceStore
from sonorant.observe.metrics import Metrics
from sonorant.settings import CacheSettings
from sonorant.tasks import (
    AudioFormat,
    Delivery,
    Described,
    Encoded,
    Pronunciation,
    SpeechRequest,
    Task,
    Terms,
    Tier,
    Utterance,
    Voice,
    Word,
)

MODEL = Described(
    name="m",
    task=Task.SPEECH,
    languages=("en",),
    voices=(Voice("amy", "en"), Voice("bob", "en")),
    voice_mixing=True,
    artefact="a1",
)
DELIVERY, TERMS = Delivery(), Terms()
REQUEST = SpeechRequest(model="m", voice="amy")
EVENTS = [Encoded(b"RIFF", 0.0), Encoded(b"one", 0.5, (Word("Hé", 0.0, 0.4),), 0.01), Encoded(b"", 0.1, ())]


def key(text="Hi", delivery=DELIVERY, model=MODEL, **changes):
    return key_of(replace(REQUEST, **changes), text, delivery, model)


class Voices:
    """Work that is counted, and goes on when it is let."""

    def __init__(self, events=EVENTS, error=None, held=False):
        self.events, self.error, self.begun, self.stopped = events, error, 0, 0
        self.go = asyncio.Event()
        if not held:
            self.go.set()

    async def __call__(self):
        self.begun += 1
        try:
            yield self.events[0]
            await self.go.wait()
            if self.error:
                raise self.error
            for event in self.events[1:]:
                yield event
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped += 1
            raise


def cache(**settings):
    metrics = Metrics([])
    settings = CacheSettings(**settings)
    made = SpeechCache(opened(settings, metrics.cache.holds), settings, metrics.cache)
    made.metrics = metrics
    return made


async def heard(cache, work, key_=None, terms=TERMS, **caching):
    caching = Caching(**caching)
    async with aclosing(cache.speak(key_ or key(), terms, "m", caching, work)) as events:
        told = [event async for event in events], caching.outcome
    await landed(cache)
    return told


async def landed(cache):
    """What is complete is written down behind the answer."""
    async with asyncio.timeout(5):
        while any(flight.complete for flight in cache._flights):
            await asyncio.sleep(0.001)


def plain(events):
    return [(event.data, event.seconds, event.words) for event in events]


@pytest.fixture(params=["memory", "disk"])
def place(request, tmp_path):
    return {"where": request.param, "folder": tmp_path / "kept"}


def test_the_second_time_costs_nothing(place):
    async def main():
        kept, work = cache(**place), Voices()
        first, outcome = await heard(kept, work)
        assert (outcome, first) == ("miss", EVENTS)
        again, outcome = await heard(kept, work)
        assert (outcome, plain(again), work.begun) == ("hit", plain(EVENTS), 1)
        assert sum(event.spent for event in again) == 0
        text = kept.metrics.text().decode()
        assert 'sonorant_cache_requests_total{model="m",outcome="hit"} 1.0' in text
        assert "sonorant_cache_bytes 0.0" not in text
        await kept.close()

    asyncio.run(main())


def test_what_is_under_way_is_joined_from_its_beginning(place):
    async def main():
        kept, work = cache(**place), Voices(held=True)
        leader = kept.speak(key(), Terms(), "m", Caching(), work)
        assert await anext(leader) == EVENTS[0]
        caching = Caching()
        follower = kept.speak(key(), Terms(), "m", caching, work)
        assert await anext(follower) == EVENTS[0]  # while the leader has no more either
        assert caching.outcome == "joined"
        work.go.set()
        assert [event async for event in follower] == EVENTS[1:]
        assert [event async for event in leader] == EVENTS[1:]
        await landed(kept)
        assert (await heard(kept, work))[1] == "hit"
        assert work.begun == 1
        await kept.close()

    asyncio.run(main())


def test_the_work_goes_on_for_those_who_are_left_and_stops_after_the_last():
    async def main():
        kept, work = cache(), Voices(held=True)
        leader, follower, third = (kept.speak(key(), Terms(), "m", Caching(), work) for _ in range(3))
        for one in (leader, follower, third):
            await anext(one)
        await leader.aclose()
        await third.aclose()
        work.go.set()
        assert [event async for event in follower] == EVENTS[1:]
        assert (work.begun, work.stopped) == (1, 0)
        left = Voices(held=True)
        alone = kept.speak(key("other"), Terms(), "m", Caching(), left)
        await anext(alone)
        await alone.aclose()
        assert left.stopped == 1
        assert (await heard(kept, Voices(), key("other")))[1] == "miss"  # nothing half is kept

    asyncio.run(main())


def test_a_failure_is_everybodys_and_is_not_kept():
    async def main():
        kept, work = cache(), Voices(error=EngineError("broke"), held=True)
        one, two = (asyncio.create_task(heard(kept, work)) for _ in range(2))
        await asyncio.sleep(0)
        work.go.set()
        for task in (one, two):
            with pytest.raises(EngineError, match="broke"):
                await task
        assert work.begun == 1
        assert (await heard(kept, Voices()))[1] == "miss"

    asyncio.run(main())


def test_nobody_waits_for_a_slow_listener_who_is_given_up_in_the_end():
    async def main():
        long = [Encoded(bytes(100_000), 1.0) for _ in range(80)]
        kept, work = cache(entry_bytes=1_000_000), Voices(long)
        slow = kept.speak(key(), Terms(), "m", Caching(), work)
        await anext(slow)
        whole, outcome = await heard(kept, work)
        assert (outcome, len(whole)) == ("joined", 80)
        with pytest.raises(EngineError, match="not taken in time"):
            [event async for event in slow]
        assert (await heard(kept, Voices()))[1] == "miss"  # too large to be kept

    asyncio.run(main())


def test_work_rests_while_nobody_takes_it():
    async def main():
        made = []

        async def endless():
            while True:
                made.append(Encoded(bytes(100_000), 1.0))
                yield made[-1]

        reader = cache().speak(key(), Terms(), "m", Caching(), endless)
        await anext(reader)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(made) < 6
        await reader.aclose()

    asyncio.run(main())


def test_who_asks_for_a_new_take_gets_it(place):
    async def main():
        kept, first, second = cache(**place), Voices(), Voices([Encoded(b"new", 1.0)])
        await heard(kept, first)
        assert (await heard(kept, second, read=False))[0] == [Encoded(b"new", 1.0)]
        assert plain((await heard(kept, first))[0]) == [
            (b"new", 1.0, None)
        ]  # and it is kept in the old one's place
        await kept.close()
        secret = cache()
        await heard(secret, first, write=False)
        assert (await heard(secret, first))[1] == "miss"
        assert (await heard(secret, first, read=False, write=False))[1] == ""

    asyncio.run(main())


def test_the_urgent_do_not_join_bulk():
    async def main():
        kept, bulk = cache(), Voices(held=True)
        reader = kept.speak(key(), Terms(tier=Tier.BULK), "m", Caching(), bulk)
        await anext(reader)
        assert (await heard(kept, Voices()))[1] == "miss"
        await reader.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("voice", ["amy", "bob"])
def test_a_deleted_voice_is_gone_alone_mixed_and_in_markup(place, voice):
    async def main():
        kept = cache(**place)
        marked = (Utterance(text="a", voice="bob"), Utterance(text="b"))
        with_bob = [key(voice="bob"), key(voice="amy*0.3+bob*0.7"), key(marked)]
        alone = key("Only Amy")
        for one in (*with_bob, alone):
            await heard(kept, Voices(), one)
        await kept.purge("other-model", "bob")
        assert (await heard(kept, Voices(), with_bob[0]))[1] == "hit"
        await kept.purge("m", voice)
        outcomes = [(await heard(kept, Voices(), one, write=False))[1] for one in (*with_bob, alone)]
        assert outcomes == (
            ["miss", "miss", "miss", "hit"] if voice == "bob" else ["hit", "miss", "miss", "miss"]
        )
        await kept.close()

    asyncio.run(main())


def test_who_deletes_a_voice_deletes_what_it_has_spoken(tmp_path):
    async def main():
        kept = cache()
        voices = VoiceStore(tmp_path, kept.purge)
        await voices.add(tenant="a", name="bob", model="m", language="en", files={"said.wav": b"RIFF"})
        await heard(kept, Voices(), key(voice="bob"))
        assert (await heard(kept, Voices(), key(voice="bob")))[1] == "hit"
        await voices.delete("a", "bob")
        assert (await heard(kept, Voices(), key(voice="bob")))[1] == "miss"
        await voices.close()
        await kept.close()

    asyncio.run(main())


def test_what_a_voice_was_saying_when_it_was_deleted_is_not_kept():
    async def main():
        kept, work = cache(), Voices(held=True)
        reader = kept.speak(key(), Terms(), "m", Caching(), work)
        await anext(reader)
        await kept.purge("m", "amy")
        assert (await heard(kept, Voices(), write=False))[1] == "miss"  # nor joined
        work.go.set()
        assert [event async for event in reader] == EVENTS[1:]
        await landed(kept)
        assert (await heard(kept, Voices()))[1] == "miss"

    asyncio.run(main())


def test_the_least_used_make_room(place):
    async def main():
        kept = cache(**place, bytes=5000)
        for text in "abc":
            await heard(kept, Voices([Encoded(bytes(2000), 1.0)]), key(text))
            await heard(kept, Voices(), key("a"))  # in use
        assert [(await heard(kept, Voices(), key(text), write=False))[1] for text in "abc"] == [
            "hit",
            "miss",
            "hit",
        ]
        assert "sonorant_cache_evictions_total 1.0" in kept.metrics.text().decode()
        await kept.close()

    asyncio.run(main())


def test_old_entries_are_not_given(monkeypatch, place):
    async def main():
        kept = cache(**place, seconds=60)
        await heard(kept, Voices())
        later = time() + 61
        monkeypatch.setattr("sonorant.gateway.cache.cache.time", lambda: later)
        assert (await heard(kept, Voices()))[1] == "miss"
        await kept.close()

    asyncio.run(main())


def test_each_thing_that_changes_the_sound_changes_the_key():
    others = [
        key("Hi!"),
        key((Utterance(text="Hi"),)),
        key((Utterance(text="Hi", rate=1.5),)),
        key(voice="bob"),
        key(speed=1.1),
        key(language="en"),
        key(instructions="softly"),
        key(lexicon=(Pronunciation("Hi", "en", "hey"),)),
        key(seed=1),
        key(terms=Terms(tenant="t")),
        key(delivery=Delivery(format=AudioFormat.MP3)),
        key(delivery=Delivery(sample_rate=8000)),
        key(delivery=Delivery(loudness=-16)),
        key(delivery=Delivery(trim_silence=True)),
        key(model=replace(MODEL, artefact="a2")),
        key(model=replace(MODEL, name="n")),
        key(model=replace(MODEL, voices=(Voice("amy", "en", content="c"), MODEL.voices[1]))),
    ]
    assert len({one.digest for one in (key(), *others)}) == len(others) + 1
    assert key(terms=Terms(id="1", tier=Tier.BULK, within=1.0)) == key()


def test_what_cannot_be_known_again_is_not_kept():
    async def stream():
        yield "Hi"

    assert key(stream()) is None
    assert key(model=replace(MODEL, artefact="")) is None
    assert key(voice="+".join(f"v{n}" for n in range(9))) is None


def test_a_damaged_entry_is_none():
    digest = key().digest
    data = entry.written(digest, 100.0, EVENTS)
    assert plain(entry.read(data, digest, 99.0)) == plain(EVENTS)
    assert entry.read(data, digest, 101.0) is None
    assert entry.read(data, key("other").digest, 0.0) is None
    for at in range(len(data)):
        assert entry.read(data[:at], digest, 0.0) is None
        assert entry.read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], digest, 0.0) is None
