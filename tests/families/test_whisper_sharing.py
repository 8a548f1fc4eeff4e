"""Work dealt out to workers as they become free."""

import asyncio

import pytest

from sonorant.families.whisper.sharing import shared_out


async def stream(items, seconds: float = 0.0):
    for item in items:
        await asyncio.sleep(seconds)
        yield item


class Workers:
    """Each share lasts until its items are let go."""

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.cancelled: list[list[int]] = []
        self._ends: dict[int, asyncio.Event] = {}

    async def work(self, share: list[int]) -> list[int]:
        self.begun.append(share)
        self._ends[share[0]] = asyncio.Event()
        try:
            await self._ends[share[0]].wait()
        except asyncio.CancelledError:
            self.cancelled.append(share)
            raise
        return share

    async def end(self, first: int) -> None:
        self._ends[first].set()
        await settle()


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def test_results_come_in_order_whoever_is_ready_first():
    async def main():
        async def work(share):
            await asyncio.sleep(0.02 / (1 + share[0]))
            return share

        shares = [share async for share in shared_out(stream(range(20)), work, workers=3, most=4)]
        assert [item for share in shares for item in share] == list(range(20))

    asyncio.run(main())


def test_the_first_waits_for_no_other_and_the_last_are_shared():
    async def main():
        workers = Workers()
        collecting = asyncio.create_task(
            collect(shared_out(stream(range(9)), workers.work, workers=2, most=3))
        )
        await settle()
        assert workers.begun == [[0], [1]]
        await workers.end(0)
        assert workers.begun[2:] == [[2, 3, 4]]
        await workers.end(1)
        assert workers.begun[3:] == [[5, 6]], "the other worker gets its half of the four that are left"
        await workers.end(5)
        assert workers.begun[4:] == [[7]]
        await workers.end(7)
        assert workers.begun[5:] == [[8]]
        await workers.end(8)
        await workers.end(2)
        assert await collecting == [[0], [1], [2, 3, 4], [5, 6], [7], [8]]

    asyncio.run(main())


async def collect(shares) -> list[list[int]]:
    return [share async for share in shares]


def test_it_reads_and_works_ahead_no_further_than_its_bounds():
    async def main():
        read, worked = 0, 0

        async def endless():
            nonlocal read
            while True:
                read += 1
                yield read

        async def work(share):
            nonlocal worked
            worked += 1
            return share

        shares = shared_out(endless(), work, workers=2, most=3)
        assert (await anext(shares))[0] == 1
        await settle()
        await anext(shares)
        for _ in range(3):
            await settle()
        assert worked <= 2 * 2 + 2
        assert read <= 3 * worked + 2 * 3 + 1
        await shares.aclose()

    asyncio.run(main())


def test_closing_it_cancels_what_runs_and_reads_no_more():
    async def main():
        workers, read = Workers(), 0

        async def endless():
            nonlocal read
            while True:
                await asyncio.sleep(0)
                read += 1
                yield read

        shares = shared_out(endless(), workers.work, workers=2, most=20)
        waiting = asyncio.ensure_future(anext(shares))
        await asyncio.sleep(0)
        await settle()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert workers.cancelled == workers.begun != []
        so_far = read
        await settle()
        assert read == so_far < 40

    asyncio.run(main())


def test_an_error_comes_after_what_was_made_before_it():
    async def broken():
        yield 1
        raise ValueError("the recording is damaged")

    async def main():
        async def work(share):
            await asyncio.sleep(0.01)
            return share

        shares = shared_out(broken(), work, workers=2, most=2)
        assert await anext(shares) == [1]
        with pytest.raises(ValueError, match="damaged"):
            await anext(shares)

    asyncio.run(main())


def test_a_share_that_fails_ends_the_others():
    async def main():
        workers = Workers()

        async def work(share):
            if share[0] == 0:
                await settle()
                raise ValueError("no memory")
            return await workers.work(share)

        with pytest.raises(ValueError, match="no memory"):
            await collect(shared_out(stream(range(9)), work, workers=2, most=2))
        assert workers.cancelled == workers.begun == [[1]]

    asyncio.run(main())
