"""A device's slots."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from sonorant.replica import Device
from sonorant.replica.claims import BULK, Claim
from sonorant.replica.device import QUIET
from sonorant.settings import LaneSettings
from sonorant.tasks import Terms, Tier


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


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Due:
    """A claim whose work is due at a time that the test names."""

    def __init__(self, due: float, *, bulk: bool = False) -> None:
        self.at, self.bulk, self.spent = due, bulk, 0.0

    def due(self, cost: float) -> float:
        return self.at

    def charge(self, seconds: float) -> None:
        self.spent += seconds

    def begin(self):
        pass


@asynccontextmanager
async def held(slots: int = 1, clock=time.monotonic):
    """A device whose slots are all taken until the first thing that is released: (device, release)."""
    device, gate, busy = Device("cpu", slots=slots, clock=clock), threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        busy.release()
        assert gate.wait(10)

    holding = [asyncio.create_task(device.run(hold)) for _ in range(slots)]
    for _ in range(slots):
        assert await asyncio.to_thread(busy.acquire, timeout=10)
    try:
        yield device, gate.set
    finally:
        gate.set()
        await asyncio.gather(*holding)
        device.close()


def test_the_earliest_due_begins_first_whenever_it_came():
    order = []

    async def main() -> None:
        async with held() as (device, release):
            dues = [5.0, 3.0, 9.0, 1.0, 3.0]
            tasks = [
                asyncio.create_task(device.run(partial(order.append, (due, i)), claim=Due(due)))
                for i, due in enumerate(dues)
            ]
            await asyncio.sleep(0)
            release()
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert order == [(1.0, 3), (3.0, 1), (3.0, 4), (5.0, 0), (9.0, 2)]


def test_short_jobs_go_first_and_bulk_last_but_in_its_time():
    clock, order = Clock(), []

    async def main() -> None:
        async with held(clock=clock) as (device, release):

            def submit(name: str, cost: float, tier: Tier = Tier.INTERACTIVE) -> asyncio.Task[None]:
                claim = Claim(Terms(tier=tier), clock)
                return asyncio.create_task(device.run(partial(order.append, name), cost=cost, claim=claim))

            tasks = [submit("bulk", 0.1, Tier.BULK), submit("long", 5.0), submit("short", 0.1)]
            await asyncio.sleep(0)
            clock.now += BULK + 1
            tasks.append(submit("late", 0.2))
            await asyncio.sleep(0)
            release()
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert order == ["short", "long", "bulk", "late"]


def test_bulk_leaves_a_slot_while_interactive_work_comes_and_takes_it_when_that_ends():
    clock, gate, lock, running = Clock(), threading.Event(), threading.Lock(), []

    def work(name: str) -> None:
        with lock:
            running.append(name)
        assert gate.wait(10)

    async def main() -> None:
        device = Device("cpu", slots=2, clock=clock)
        await device.run(lambda: None, claim=Due(0.0))
        bulk = [asyncio.create_task(device.run(partial(work, "bulk"), claim=Due(0, bulk=True))) for _ in "ab"]
        await reached(lambda: running == ["bulk"])
        interactive = asyncio.create_task(device.run(partial(work, "interactive"), claim=Due(9.0)))
        await reached(lambda: running == ["bulk", "interactive"])
        load = device.load()
        assert (load.slots, load.running, load.waiting) == (2, 2, 1)
        gate.set()
        await asyncio.gather(*bulk, interactive)
        gate.clear()
        clock.now += QUIET + 1
        bulk = [asyncio.create_task(device.run(partial(work, "more"), claim=Due(0, bulk=True))) for _ in "ab"]
        await reached(lambda: running[-2:] == ["more", "more"])
        gate.set()
        await asyncio.gather(*bulk)
        device.close()

    asyncio.run(main())


async def reached(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def test_load_tells_what_waits_and_how_long_the_oldest_has_run():
    clock = Clock()

    async def main() -> None:
        async with held(clock=clock) as (device, _):
            tasks = [asyncio.create_task(device.run(lambda: None, cost=cost)) for cost in (0.5, 1.5)]
            await asyncio.sleep(0)
            clock.now += 7
            load = device.load()
            assert (load.running, load.waiting, load.waiting_seconds) == (1, 2, 2.0)
            assert load.longest_running == pytest.approx(7)
            tasks[1].cancel()
            await asyncio.gather(tasks[1], return_exceptions=True)
            assert device.load().waiting_seconds == 0.5

    asyncio.run(main())


def test_what_a_run_takes_is_charged_to_whom_it_is_for():
    clock = Clock()

    def work() -> None:
        clock.now += 3

    async def main() -> None:
        device, claim = Device("cpu", slots=1, clock=clock), Due(0.0)
        await device.run(work, claim=claim)
        await device.run(work, claim=claim)
        assert claim.spent == 6
        device.close()

    asyncio.run(main())


class Rows:
    """A kin whose works are numbers; at most three together, of which each result is its double."""

    def __init__(self) -> None:
        self.batches, self.stopped, self.gate = [], threading.Event(), threading.Event()
        self.failing = False

    def companions(self, first, others, slack):
        return range(len(others))[:2]

    def join(self, works):
        rows = self

        class Batch:
            def __call__(self):
                rows.batches.append([work.n for work in works])
                assert rows.gate.wait(10)
                return [ZeroDivisionError() if work.n == 0 and rows.failing else work.n * 2 for work in works]

            def stop(self):
                rows.stopped.set()
                rows.gate.set()

        return Batch()


@dataclass
class Row:
    n: int

    def __call__(self) -> int:
        return self.n * 2


def test_kin_that_waits_runs_together_each_with_its_own_result():
    rows = Rows()
    rows.gate.set()

    async def main() -> None:
        async with held() as (device, release):
            claims = [Due(due) for due in (4.0, 2.0, 3.0, 1.0)]
            works = [device.run(Row(n), kin=rows, cost=1, claim=claim) for n, claim in enumerate(claims)]
            tasks = asyncio.gather(*works, return_exceptions=True)
            await asyncio.sleep(0)
            release()
            results = await tasks
            assert results == [0, 2, 4, 6]

    asyncio.run(main())
    assert rows.batches == [[3, 1, 2]]  # the last one was alone


def test_a_row_that_fails_does_not_fail_the_others():
    rows = Rows()
    rows.failing = True
    rows.gate.set()

    async def main() -> None:
        async with held() as (device, release):
            works = [device.run(Row(n), kin=rows, claim=Due(0.0)) for n in range(3)]
            tasks = asyncio.gather(*works, return_exceptions=True)
            await asyncio.sleep(0)
            release()
            first, *others = await tasks
            assert isinstance(first, ZeroDivisionError)
            assert others == [2, 4]

    asyncio.run(main())


def test_what_runs_together_is_stopped_when_nobody_wants_any_of_it():
    rows = Rows()

    async def main() -> None:
        async with held() as (device, release):
            tasks = [
                asyncio.create_task(device.run(Row(n), kin=rows, claim=Due(float(n)))) for n in (1, 2, 3)
            ]
            await asyncio.sleep(0)
            tasks[1].cancel()  # while it waits: it is left out
            await asyncio.gather(tasks[1], return_exceptions=True)
            release()
            await reached(lambda: rows.batches)
            tasks[0].cancel()
            await asyncio.gather(tasks[0], return_exceptions=True)
            assert not rows.stopped.is_set()
            tasks[2].cancel()
            await asyncio.gather(tasks[2], return_exceptions=True)
            assert rows.stopped.is_set()

    asyncio.run(main())
    assert rows.batches == [[1, 3]]


def test_a_caller_that_leaves_as_its_work_begins_takes_nothing_from_the_others():
    """asyncio cancels the future a moment before the caller hears of it."""
    rows, order = Rows(), []
    rows.gate.set()

    async def main() -> None:
        async with held() as (device, release):
            tasks = [asyncio.create_task(device.run(Row(n), kin=rows, claim=Due(float(n)))) for n in range(3)]
            alone = asyncio.create_task(device.run(partial(order.append, "never"), claim=Due(-1.0)))
            await asyncio.sleep(0)
            for job in list(device._waiting):
                if job.due in (-1.0, 1.0):
                    job.future.cancel()
            release()
            results = await asyncio.gather(*tasks, alone, return_exceptions=True)
            assert results[0] == 0
            assert results[2] == 4
            assert [type(results[i]) for i in (1, 3)] == [asyncio.CancelledError] * 2

    asyncio.run(main())
    assert rows.batches == [[0, 2]]
    assert order == []


def test_what_may_be_batched_lets_other_work_go_first_for_a_moment():
    clock, rows, order = Clock(), Rows(), []
    rows.gate.set()

    def submit(device: Device, name: str, due: float, kin: Rows | None) -> asyncio.Task[None]:
        work = partial(order.append, name)
        return asyncio.create_task(device.run(work, claim=Due(clock.now + due), kin=kin))

    async def main(waited: float) -> list[str]:
        async with held(clock=clock) as (device, release):
            tasks = [submit(device, "row", 1.0, rows)]
            await asyncio.sleep(0)
            clock.now += waited
            tasks.append(submit(device, "other", 5.0, None))
            await asyncio.sleep(0)
            release()
            await asyncio.gather(*tasks)
        return [order.pop(0), order.pop(0)]

    assert asyncio.run(main(0.001)) == ["other", "row"]
    assert asyncio.run(main(0.011)) == ["row", "other"]


def test_a_gpu_has_two_streams_unless_the_settings_say_otherwise():
    assert Device("cuda:1").slots == 2
    assert Device("cuda", lanes=LaneSettings(streams=5)).slots == 5
    assert Device("cpu", slots=3, lanes=LaneSettings(streams=5)).slots == 3
