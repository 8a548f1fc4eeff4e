"""Voices that users add: kept, told apart by tenant, and gone when deleted."""

import asyncio

import pytest

from sonorant.errors import ModelFileError, RequestError, UnknownVoiceError
from sonorant.gateway.voice_store import VoiceStore

FILES = {"prompt.wav": b"RIFF", "text.txt": "Hé".encode()}


def voice(**changes):
    usual = {"tenant": "a", "name": "anna", "model": "cosy", "language": "de", "files": FILES}
    return usual | changes


class Told(list):
    async def __call__(self, model, name):
        self.append((model, name))


def test_a_voice_outlives_its_server_and_its_deletion_is_told(tmp_path):
    told = Told()

    async def main():
        store = VoiceStore(tmp_path / "voices", told)
        added = await store.add(**voice())
        await store.close()
        store = VoiceStore(tmp_path / "voices", told)
        assert await store.get("a", "anna") == added
        assert store.path(added, "text.txt").read_text("utf-8") == "Hé"
        await store.delete("a", "anna")
        assert told == [("cosy", "anna")]
        assert await store.of("a") == []
        assert not store.path(added, "text.txt").exists()
        with pytest.raises(UnknownVoiceError):
            await store.delete("a", "anna")
        await store.close()

    asyncio.run(main())


def test_tenants_do_not_see_each_other(tmp_path):
    async def main():
        store = VoiceStore(tmp_path, Told())
        mine = await store.add(**voice())
        other = await store.add(**voice(tenant="b"))
        assert mine.content == other.content
        assert [v.tenant for v in await store.of("b")] == ["b"]
        with pytest.raises(UnknownVoiceError):
            await store.get("c", "anna")
        await store.delete("b", "anna")
        assert store.path(mine, "prompt.wav").read_bytes() == b"RIFF"  # equal files are shared until the last
        await store.close()

    asyncio.run(main())


def test_another_sound_is_another_content(tmp_path):
    async def main():
        store = VoiceStore(tmp_path, Told())
        contents = {
            (await store.add(**voice(name=f"v{n}", files=files))).content
            for n, files in enumerate(
                [FILES, FILES | {"prompt.wav": b"RIFX"}, {"a": b"RIFF"}, {"b": b"RIFF"}]
            )
        }
        assert len(contents) == 4
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "changes", [{"name": "../up"}, {"name": ""}, {"files": {"a/b": b""}}, {"files": {".hidden": b""}}]
)
def test_names_that_are_none(tmp_path, changes):
    async def main():
        store = VoiceStore(tmp_path, Told())
        with pytest.raises(RequestError, match="cannot be the name"):
            await store.add(**voice(**changes))
        await store.close()

    asyncio.run(main())


def test_a_name_is_given_once(tmp_path):
    async def main():
        store = VoiceStore(tmp_path, Told())
        first = await store.add(**voice())
        with pytest.raises(RequestError, match="already a voice 'anna'"):
            await store.add(**voice(files={"x": b"y"}))
        assert await store.of("a") == [first]
        assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1  # nothing is left of the refused one
        await store.close()

    asyncio.run(main())


def test_a_damaged_store_says_so(tmp_path):
    (tmp_path / "voices.db").write_bytes(b"not a database" * 100)

    async def main():
        with pytest.raises(ModelFileError, match=r"cannot be used.*voices\.db is whole"):
            await VoiceStore(tmp_path, Told()).of("a")

    asyncio.run(main())
