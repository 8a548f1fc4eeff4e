"""Changed files are noticed once they are whole."""

import asyncio
import os

import pytest

from sonorant.gateway import watch as watching


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.002)


def test_a_change_counts_once_and_only_when_two_looks_saw_the_same(monkeypatch):
    looks = iter("AABCDDDEEEE")
    seen, told = [], []

    def look(_):
        seen.append(next(looks, "E"))
        return seen[-1]

    monkeypatch.setattr(watching, "_marks", look)

    async def main():
        task = asyncio.create_task(watching.watch(lambda: (), lambda: told.append("".join(seen))))
        async with asyncio.timeout(10):
            while len(seen) < 14:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert told == ["AABCDD", "AABCDDDEE"]


def test_real_files_that_grow_are_replaced_or_vanish(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"one")
    told = []

    async def main():
        task = asyncio.create_task(watching.watch(lambda: tmp_path.iterdir(), lambda: told.append(1)))
        await asyncio.sleep(0.1)
        assert told == []
        changes = [
            lambda: file.write_bytes(b"another"),
            lambda: os.utime(file, ns=(1, 1)),  # another file of the same size
            file.unlink,
        ]
        for number, change in enumerate(changes):
            change()
            async with asyncio.timeout(10):
                while len(told) <= number:
                    await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_folder_that_goes_while_it_is_read_ends_no_watch(monkeypatch):
    looks = iter("AA!BBB")
    seen, told = [], []

    def look(_):
        seen.append(next(looks, "B"))
        if seen[-1] == "!":
            raise FileNotFoundError
        return seen[-1]

    monkeypatch.setattr(watching, "_marks", look)

    async def main():
        task = asyncio.create_task(watching.watch(lambda: (), lambda: told.append("".join(seen))))
        async with asyncio.timeout(10):
            while len(seen) < 9:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert told == ["AA!BB"]
