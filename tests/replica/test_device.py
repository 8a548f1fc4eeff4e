"""A device's slots."""

import asyncio
import threading

import pytest

from sonorant.replica import Device


def test_no_more_work_at_a_time_than_slots():
    lock, running, most = threading.Lock(), 0, 0
    full = threading.Barrier(3, timeout=10)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait()  # three at a time are reached …
        with lock:
            running -= 1

    async def main() -> None:
        device = Device("cpu", slots=3)
        await asyncio.gather(*(device.run(work) for _ in range(12)))
        device.close()

    asyncio.run(main())
    assert most == 3  # … and never more


def test_cancelled_work_that_waits_never_begins():
    gate, begun = threading.Event(), []

    async def main() -> None:
        device = Device("cpu", slots=1)
        first = asyncio.create_task(device.run(gate.wait))
        waiting = [asyncio.create_task(device.run(lambda i=i: begun.append(i))) for i in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.gather(waiting[1], return_exceptions=True)
        gate.set()
        await asyncio.gather(first, waiting[0], waiting[2])
        assert waiting[1].cancelled()
        device.close()

    asyncio.run(main())
    assert begun == [0, 2]


def test_cancelled_work_that_runs_is_told_to_stop_and_keeps_its_slot_until_it_has():
    begun, told, gate, order = threading.Event(), threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        assert told.wait(10)
        gate.wait(10)
        order.append("stopped")

    async def main() -> None:
        device = Device("cpu", slots=1)
        task = asyncio.create_task(device.run(work, told.set))
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert told.is_set()
        following = asyncio.create_task(device.run(lambda: order.append("next")))
        await asyncio.sleep(0.05)
        assert order == []
        gate.set()
        await following
        device.close()

    asyncio.run(main())
    assert order == ["stopped", "next"]


def test_what_work_raises_is_raised():
    async def main() -> None:
        device = Device("cpu", slots=1)
        with pytest.raises(ZeroDivisionError):
            await device.run(lambda: 1 / 0)
        assert await device.run(lambda: 5) == 5
        device.close()

    asyncio.run(main())
