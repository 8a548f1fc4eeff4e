"""The cache on disk: it survives a restart, and whatever is wrong with it, the request is answered."""

import asyncio
import errno

import pytest

from sonorant.gateway.cache import Caching, SpeechCache, disk, key_of, opened
from sonorant.observe.metrics import Metrics
from sonorant.settings import CacheSettings
from sonorant.tasks import Delivery, Described, Encoded, SpeechRequest, Task, Terms, Voice

MODEL = Described(name="m", task=Task.SPEECH, languages=("en",), voices=(Voice("amy", "en"),), artefact="a")
EVENTS = [Encoded(b"RIFF", 0.0), Encoded(bytes(1000), 0.5)]


def key(text):
    return key_of(SpeechRequest(model="m", voice="amy"), text, Delivery(), MODEL)


async def spoken():
    for event in EVENTS:
        yield event


def on_disk(folder, **settings):
    settings = CacheSettings(where="disk", folder=folder, **settings)
    metrics = Metrics([])
    return SpeechCache(opened(settings, metrics.cache.holds), settings, metrics.cache)


async def outcomes(cache, *texts):
    found = []
    for text in texts:
        caching = Caching()
        events = [e async for e in cache.speak(key(text), Terms(), "m", caching, spoken)]
        assert [(e.data, e.seconds) for e in events] == [(e.data, e.seconds) for e in EVENTS]
        found.append(caching.outcome)
        while cache._flights:
            await asyncio.sleep(0.001)
    return found


def test_it_survives_a_restart_and_its_bound_holds_for_what_was_there(tmp_path):
    async def main():
        first = on_disk(tmp_path / "new" / "folder")
        assert await outcomes(first, "a", "b", "c", "a") == ["miss", "miss", "miss", "hit"]
        await first.close()
        again = on_disk(tmp_path / "new" / "folder", bytes=2500)
        assert await outcomes(again, "a", "c", "b") == ["hit", "hit", "miss"]
        await again.close()
        files = [path.stat().st_size for path in (tmp_path / "new" / "folder").iterdir()]
        assert sum(files) <= 2500

    asyncio.run(main())


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_bounds_that_change_count_at_once(tmp_path, where):
    async def main():
        settings, metrics = CacheSettings(where=where, folder=tmp_path), Metrics([])
        cache = SpeechCache(opened(settings, metrics.cache.holds), settings, metrics.cache)
        assert await outcomes(cache, "a", "b", "c") == ["miss"] * 3
        cache.take(settings.model_copy(update={"bytes": 2500}))
        assert await outcomes(cache, "c", "b", "a") == ["hit", "hit", "miss"]
        cache.take(settings.model_copy(update={"entry_bytes": 10}))
        assert await outcomes(cache, "d", "d") == ["miss", "miss"]
        await cache.close()

    asyncio.run(main())


@pytest.mark.parametrize("damage", [b"", b"SNRE", b"garbage" * 50])
def test_a_damaged_entry_is_dropped(tmp_path, damage):
    async def main():
        cache = on_disk(tmp_path)
        await outcomes(cache, "a")
        [path] = tmp_path.iterdir()
        path.write_bytes(damage)
        assert await outcomes(cache, "a", "a") == ["miss", "hit"]
        await cache.close()

    asyncio.run(main())


def test_an_entry_under_another_name_is_not_given(tmp_path):
    async def main():
        cache = on_disk(tmp_path)
        await outcomes(cache, "a")
        [path] = tmp_path.iterdir()
        path.rename(tmp_path / str(key("b")))
        assert await outcomes(cache, "b") == ["miss"]
        await cache.close()

    asyncio.run(main())


def test_a_folder_that_cannot_be_used_is_logged_once(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")

    async def main():
        cache = on_disk(tmp_path / "file" / "folder")
        assert await outcomes(cache, "a", "a", "b") == ["miss", "miss", "miss"]
        await cache.purge("m", "amy")
        await cache.close()

    asyncio.run(main())
    assert len([r for r in caplog.records if "cannot be used" in r.message]) == 1


def test_a_full_disk_leaves_nothing_half(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def main():
        cache = on_disk(tmp_path)
        monkeypatch.setattr(disk.os, "replace", full)
        assert await outcomes(cache, "a", "a") == ["miss", "miss"]
        assert list(tmp_path.iterdir()) == []
        monkeypatch.undo()
        assert await outcomes(cache, "a", "a") == ["miss", "hit"]
        await cache.close()

    asyncio.run(main())
