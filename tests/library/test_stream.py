"""Streams in their plain and their async form, over a pipeline that is made here."""

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from sonorant.stream import Answer, Loop, Stream, begun, in_daemon


class Numbers(Stream[int, int]):
    def _collect(self, items):
        return sum(items)


@pytest.fixture(scope="module")
def loop():
    return Loop()


def test_each_form_gives_the_same(loop):
    async def five():
        for n in range(5):
            yield n

    async def main():
        assert [n async for n in Numbers(loop, five())] == [0, 1, 2, 3, 4]
        assert await Numbers(loop, five()) == 10

    assert list(Numbers(loop, five())) == [0, 1, 2, 3, 4]
    assert Numbers(loop, five()).result() == 10
    rest = Numbers(loop, five())
    assert next(rest) == 0
    assert next(rest) == 1
    assert rest.result() == 9
    assert rest.result() == 0
    asyncio.run(main())


def test_errors_come_out_as_they_are(loop):
    async def fails():
        yield 1
        raise KeyError("two")

    stream = Numbers(loop, fails())
    assert next(stream) == 1
    with pytest.raises(KeyError, match="two"):
        next(stream)


@pytest.mark.parametrize("how", ["close", "with", "aclose", "async with"])
def test_leaving_early_closes_the_source(loop, how):
    closed = threading.Event()

    async def endless():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    stream = Numbers(loop, endless())

    async def leave():
        if how == "aclose":
            await anext(stream)
            await stream.aclose()
        else:
            async with stream:
                await anext(stream)

    if how == "close":
        next(stream)
        stream.close()
        stream.close()
    elif how == "with":
        with stream:
            next(stream)
    else:
        asyncio.run(leave())
    assert closed.is_set()
    assert list(stream) == []


def test_closing_wakes_who_waits_for_an_item(loop):
    """Another thread closes the stream while this one waits: an interrupt does the same."""
    waits, cancelled = threading.Event(), threading.Event()

    async def silent():
        waits.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        yield 1

    stream = Numbers(loop, silent())
    closer = threading.Thread(target=lambda: (waits.wait(10), stream.close()))
    closer.start()
    with pytest.raises(CancelledError):
        next(stream)
    closer.join(10)
    assert not closer.is_alive()
    assert cancelled.is_set()


def test_an_answer_is_computed_once_and_read_in_both_forms(loop):
    begun = threading.Event()

    async def half():
        begun.set()
        await asyncio.sleep(0)
        return 21

    async def read(answer):
        return await answer

    answer = Answer(loop, half())
    assert begun.wait(10), "it begins before it is read"
    assert answer.result() + asyncio.run(read(answer)) == 42


def test_what_goes_wrong_with_an_answer_is_raised_when_it_is_read(loop):
    async def wrong():
        raise ValueError("no")

    async def read(answer):
        return await answer

    answer = Answer(loop, wrong())
    with pytest.raises(ValueError, match="no"):
        answer.result()
    with pytest.raises(ValueError, match="no"):
        asyncio.run(read(answer))


def test_cancelling_who_awaits_an_answer_cancels_the_computation(loop):
    waits, cancelled = threading.Event(), threading.Event()

    async def silent():
        waits.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def main():
        async def read():
            await Answer(loop, silent())

        task = asyncio.create_task(read())
        assert await asyncio.to_thread(waits.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(cancelled.wait, 10)

    asyncio.run(main())


def test_cancelling_the_waiting_task_cancels_the_computation(loop):
    waits, cancelled = threading.Event(), threading.Event()

    async def silent():
        waits.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        yield 1

    async def main():
        task = asyncio.create_task(anext(Numbers(loop, silent())))
        assert await asyncio.to_thread(waits.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(cancelled.wait, 10)

    asyncio.run(main())


def test_begun_raises_here_and_now_and_loses_nothing():
    assert list(begun([1, 2, 3])) == [1, 2, 3]
    assert list(begun([])) == []

    def fails():
        raise KeyError
        yield

    with pytest.raises(KeyError):
        begun(fails())


def test_work_in_a_daemon_thread():
    async def main():
        assert await in_daemon(lambda: threading.current_thread().daemon)
        with pytest.raises(ZeroDivisionError):
            await in_daemon(lambda: 1 / 0)

    asyncio.run(main())
