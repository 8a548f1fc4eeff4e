"""The cache in Redis: shared by gateways, and no request's misfortune when it is slow, dead or damaged."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from sonorant.errors import SettingsError
from sonorant.gateway.cache import Caching, SpeechCache, key_of, opened
from sonorant.gateway.cache.redis import PREFIX
from sonorant.observe.metrics import Metrics
from sonorant.settings import CacheSettings
from sonorant.tasks import Delivery, Described, Encoded, SpeechRequest, Task, Terms, Voice

pytestmark = pytest.mark.heavy

MODEL = Described(
    name="m",
    task=Task.SPEECH,
    languages=("en",),
    voices=(Voice("amy", "en"), Voice("bob", "en")),
    artefact="a",
)
EVENTS = [Encoded(b"RIFF", 0.0), Encoded(bytes(50_000), 0.5)]


@contextmanager
def redis_server(folder):
    assert shutil.which("redis-server"), "install redis-server, or run `make test-systems`"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    process = subprocess.Popen(["redis-server", *map(str, words)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            subprocess.run(["sleep", "0.01"], check=True)
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path) as started:
        yield started


def shared(url, **settings):
    settings = CacheSettings(where="redis", redis=SecretStr(url), **settings)
    metrics = Metrics([])
    return SpeechCache(opened(settings, metrics.cache.holds), settings, metrics.cache)


async def spoken():
    for event in EVENTS:
        yield event


async def outcome(cache, text, voice="amy"):
    caching = Caching()
    key = key_of(SpeechRequest(model="m", voice=voice), text, Delivery(), MODEL)
    events = [e async for e in cache.speak(key, Terms(), "m", caching, spoken)]
    assert [(e.data, e.seconds) for e in events] == [(e.data, e.seconds) for e in EVENTS]
    return caching.outcome


async def landed(cache):
    while cache._flights:
        await asyncio.sleep(0.001)


def test_gateways_share_what_one_of_them_has_spoken(server):
    async def main():
        one, other = shared(server[1]), shared(server[1])
        assert await outcome(one, "a") == "miss"
        await landed(one)
        assert await outcome(other, "a") == "hit"
        await outcome(one, "a", "bob")
        await landed(one)
        await other.purge("m", "amy")
        assert [await outcome(one, "a"), await outcome(one, "a", "bob")] == ["miss", "hit"]
        for cache in (one, other):
            await landed(cache)
            await cache.close()

    asyncio.run(main())


def test_entries_end_and_damaged_ones_are_dropped(server):
    from redis.asyncio import Redis

    async def main():
        cache, raw = shared(server[1], seconds=30), Redis.from_url(server[1])
        await outcome(cache, "a")
        await landed(cache)
        [name] = await raw.keys(PREFIX + "*")
        assert 0 < await raw.pttl(name) <= 30_000
        await raw.set(name, b"garbage")
        assert await outcome(cache, "a") == "miss"
        await landed(cache)
        assert await outcome(cache, "a") == "hit"
        await raw.aclose()
        await cache.close()

    asyncio.run(main())


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_no_request_fails_or_waits_when_redis_dies_under_load(server, fate):
    process, url = server

    async def main():
        cache = shared(url)

        async def client(number):
            return [await outcome(cache, f"{number % 5} {turn % 7}") for turn in range(40)]

        async with asyncio.timeout(20):  # 800 requests at 0.1 s each would take 80
            clients = [asyncio.create_task(client(number)) for number in range(20)]
            await asyncio.sleep(0.1)
            os.kill(process.pid, fate)
            answers = [told for done in await asyncio.gather(*clients) for told in done]
        assert len(answers) == 800
        assert set(answers) <= {"hit", "miss", "joined"}
        await landed(cache)
        await cache.close()

    asyncio.run(main())


def test_redis_is_used_again_when_it_is_back(server, monkeypatch):
    process, url = server
    monkeypatch.setattr("sonorant.gateway.cache.redis.OPEN_SECONDS", 0.2)

    async def main():
        cache = shared(url)
        await outcome(cache, "a")
        await landed(cache)
        os.kill(process.pid, signal.SIGSTOP)
        assert await outcome(cache, "a") == "miss"
        await landed(cache)
        os.kill(process.pid, signal.SIGCONT)
        await asyncio.sleep(0.5)
        assert await outcome(cache, "a") == "hit"
        await cache.close()

    asyncio.run(main())


def test_an_address_that_is_none_is_refused_at_the_start():
    with pytest.raises(SettingsError, match=r"cache\.redis cannot be read.*redis://127"):
        shared("http://127.0.0.1")
