"""A stream of results in both forms, plain and async, over one async implementation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Loop:
    """An event loop in a daemon thread: where the library's pipelines run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sonorant", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`. On an interrupt (Ctrl-C) it is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """The same from another event loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class Stream(Generic[T, R]):
    """Items as they come: `for`, `async for`; or the whole: `.result()`, `await`.

    Leaving it early with `close()` / `aclose()` (or a `with` block) stops the computation.
    """

    def __init__(self, loop: Loop, items: AsyncIterator[T]) -> None:
        self._loop, self._items = loop, items

    def _collect(self, items: list[T]) -> R:
        """All items → the whole."""
        raise NotImplementedError

    def result(self) -> R:
        """Wait for everything that has not been taken yet."""
        return self._collect(list(self))

    def __await__(self) -> Generator[Any, None, R]:
        return self._aresult().__await__()

    async def _aresult(self) -> R:
        return self._collect([item async for item in self])

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._loop.run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await self._loop.arun(self._next())

    async def _next(self) -> T:
        return await anext(self._items)

    def close(self) -> None:
        """Stop the computation, if it still runs."""
        self._loop.run(self._stop())

    async def aclose(self) -> None:
        """Stop the computation, if it still runs."""
        await self._loop.arun(self._stop())

    async def _stop(self) -> None:
        await self._items.aclose()  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
