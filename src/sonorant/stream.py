"""Results in both forms, plain and async, over one async implementation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from itertools import chain, islice
from typing import Any, Generic, Self, TypeVar

from sonorant.errors import UnsupportedError

NOTICE_SECONDS = 0.5
"""until an interrupt is noticed, at the latest"""

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
        return self.wait(self.begin(work))

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let `work` run; to be waited for later."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, future: Future[T]) -> T:
        """The result of what has begun."""
        try:
            # An interrupt that comes just as a wait begins is noticed only when that wait ends.
            while not wait([future], timeout=NOTICE_SECONDS).done:
                pass
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """The same from another event loop."""
        return await asyncio.wrap_future(self.begin(work))


class Answer(Generic[T]):
    """One result: `.result()`, `await`. Computing begins at once; problems are raised when it is read."""

    def __init__(self, loop: Loop, work: Coroutine[Any, Any, T]) -> None:
        self._loop, self._future = loop, loop.begin(work)

    def result(self) -> T:
        """Wait for it."""
        return self._loop.wait(self._future)

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self._future).__await__()


class Stream(Generic[T, R]):
    """Items as they come: `for`, `async for`; or the whole: `.result()`, `await`.

    Leaving it early with `close()` / `aclose()` (or a `with` block) stops the computation.
    """

    def __init__(
        self, loop: Loop, items: AsyncIterator[T], home: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """`home` is the caller's event loop, where it must turn for `items` to come."""
        self._loop, self._items, self._home = loop, items, home
        self._taking: asyncio.Task[Any] | None = None
        """who takes an item, or took the last one"""

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
        if self._home is not None and running_loop() is self._home:
            raise UnsupportedError(
                "This would block the event loop that the text comes from, and so wait for ever",
                remedy="Use `async for` or `await`, or call it by asyncio.to_thread",
            )
        try:
            return self._loop.run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await self._loop.arun(self._next())

    async def _next(self) -> T:
        self._taking = asyncio.current_task()
        return await anext(self._items)

    def close(self) -> None:
        """Stop the computation, if it still runs."""
        self._loop.run(self._stop())

    async def aclose(self) -> None:
        """Stop the computation, if it still runs."""
        await self._loop.arun(self._stop())

    async def _stop(self) -> None:
        if self._taking is not None and not self._taking.done():
            self._taking.cancel()
            await asyncio.wait([self._taking])
        await self._items.aclose()  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def in_daemon(work: Callable[[], T]) -> T:
    """`work` in a thread that does not keep the process from ending, as those of asyncio.to_thread do."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # handed on to who awaits it
            future.set_exception(error)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name="sonorant-text", daemon=True).start()
    return await asyncio.wrap_future(future)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def begun(items: Iterable[T]) -> Iterator[T]:
    """The same items. Waits for the first here and now: what fails before it leaves no empty file behind."""
    iterator = iter(items)
    return chain(list(islice(iterator, 1)), iterator)
