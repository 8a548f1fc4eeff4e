"""Work dealt out to workers as they become free, and what they make of it in its order."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


async def shared_out(
    items: AsyncIterator[Item],
    work: Callable[[list[Item]], Coroutine[Any, Any, Made]],
    *,
    workers: int,
    most: int,
) -> AsyncGenerator[Made, None]:
    """What `work` makes of shares of the items, in the order of the items.

    A worker that becomes free takes its part of what waits, up to `most`: the first item waits for no
    other, later ones are worked on together, and at the end nobody is left with much while the others
    have nothing. Items are read meanwhile, `workers` · `most` of them ahead; while twice as many shares
    as there are workers are not taken from here, none begins. Closing it cancels what runs.
    """
    waiting, shares = deque[Item](), deque[asyncio.Task[Made]]()
    room, news = asyncio.Semaphore(workers * most), asyncio.Event()

    async def read() -> None:
        async for item in items:
            await room.acquire()
            waiting.append(item)
            news.set()

    def begin(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(coroutine)
        task.add_done_callback(lambda _: news.set())
        return task

    reading = begin(read())
    try:
        while waiting or shares or not reading.done():
            news.clear()
            busy = sum(not share.done() for share in shares)
            if waiting and busy < workers and len(shares) < 2 * workers:
                size = min(most, math.ceil(len(waiting) / workers))
                shares.append(begin(work([waiting.popleft() for _ in range(size)])))
                for _ in range(size):
                    room.release()
            elif shares and shares[0].done():
                yield shares.popleft().result()
            else:
                await news.wait()
        reading.result()  # the error that ended the items early, after what was made of those before it
    finally:
        for task in (reading, *shares):
            task.cancel()
        await asyncio.gather(reading, *shares, return_exceptions=True)
