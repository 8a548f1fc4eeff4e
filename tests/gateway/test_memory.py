"""Models take turns in a memory that does not hold all of them."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from replicas import DESCRIBED, Processes

from sonorant.errors import NotReadyError
from sonorant.gateway import keeper as keeping
from sonorant.gateway import life
from sonorant.gateway import memory as budgeting
from sonorant.gateway.keeper import Keeper
from sonorant.gateway.memory import Memory
from sonorant.gateway.supervised import SupervisedReplica
from sonorant.settings import MemorySettings, ReplicaSettings
from sonorant.tasks import AudioFormat, Delivery, Encoded, Load, SpeechRequest, State
from sonorant.wire.messages import Beat, Done, PiecesEnd, Settled, Spoken, Tune

MB = 2**20
PCM = Delivery(format=AudioFormat.PCM)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(keeping, "BACK_OFF", (0.0,))
    for module in (keeping, life):
        monkeypatch.setattr(module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(budgeting, "TEND_SECONDS", 0.02)


def holding(name, size, gate=None):
    """A process that holds so many MB and says its name, once the gate is open."""

    async def behave(process, channel):
        channel.post(Beat(Load(slots=1, memory=size * MB)))
        await channel.send(Settled(replace(DESCRIBED, name=name), None, 0.1))

        async def beats():
            while True:
                channel.post(Beat(Load(slots=1, memory=size * MB)))
                await asyncio.sleep(0.05)

        beating = asyncio.create_task(beats())
        try:
            while True:
                message = await channel.receive()
                if isinstance(message, PiecesEnd):
                    if gate is not None:
                        await gate.wait()
                    await channel.send(Spoken(message.call, Encoded(name.encode(), 1.0)))
                    await channel.send(Done(message.call))
        finally:
            beating.cancel()

    return behave


@asynccontextmanager
async def served(budget, *models, need=400, idle=0.0, preload=False, gates=()):
    """Models of so many MB each, of which `budget` MB fit."""
    chosen = ReplicaSettings(retry_seconds=3)
    replicas = []
    for i, size in enumerate(models):
        gate = gates[i] if gates else None
        name = "abcdef"[i]
        keeper = Keeper(
            replace(DESCRIBED, name=name),
            Processes([holding(name, size, gate)]),
            chosen,
            need=need * MB,
            preload=preload,
        )
        replicas.append(SupervisedReplica(keeper, chosen, 1000))
    memory = Memory([r.keeper for r in replicas], MemorySettings(budget_bytes=budget * MB, idle_seconds=idle))
    tasks = [asyncio.create_task(work) for work in (*(r.keeper.run() for r in replicas), memory.tend())]
    try:
        async with asyncio.timeout(20):
            yield replicas
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def once():
    yield "Hello."


async def spoken(replica) -> str:
    events = replica.speak(SpeechRequest(model=replica.name), once(), PCM)
    return b"".join([event.data async for event in events]).decode()


async def until(true) -> None:
    while not true():
        await asyncio.sleep(0.005)


def states(replicas) -> str:
    return " ".join(replica.state for replica in replicas)


def test_a_model_is_loaded_when_it_is_asked_for():
    async def main():
        async with served(1000, 300, 300) as replicas:
            assert states(replicas) == "unloaded unloaded"
            assert await spoken(replicas[0]) == "a"
            assert states(replicas) == "ready unloaded"

    asyncio.run(main())


def test_the_least_recently_used_makes_room_and_comes_back():
    async def main():
        async with served(1000, 400, 400, 400) as replicas:
            a, b, c = replicas
            for replica in (a, b, a, c):
                assert await spoken(replica) == replica.name
            assert states(replicas) == "ready unloaded ready"
            assert await spoken(b) == "b"
            assert states(replicas) == "unloaded ready ready"
            assert a.keeper.restarts == b.keeper.restarts == 0

    asyncio.run(main())


def test_a_model_at_work_is_not_unloaded_and_the_other_is_refused_with_the_figures():
    async def main():
        gate = asyncio.Event()
        async with served(700, 400, 400, gates=(gate, None)) as (a, b):
            speaking = asyncio.create_task(spoken(a))
            await until(lambda: a.state is State.READY and a.keeper.link.calls)
            await until(lambda: a.keeper.memory == 400 * MB)
            with pytest.raises(NotReadyError, match="needs about 400 MB.*hold 400 of 700 MB"):
                await spoken(b)
            gate.set()
            assert await speaking == "a"
            assert await spoken(b) == "b"

    asyncio.run(main())


def test_what_does_not_fit_at_the_start_is_left_for_later():
    async def main():
        async with served(900, 400, 400, 400, preload=True) as replicas:
            await until(lambda: states(replicas).count("ready") == 2)
            await asyncio.sleep(0.05)
            assert sorted(states(replicas).split()) == ["ready", "ready", "unloaded"]
            (waiting,) = [replica for replica in replicas if replica.state is State.UNLOADED]
            assert await spoken(waiting) == waiting.name

    asyncio.run(main())


def test_a_need_that_was_measured_counts_from_then_on():
    async def main():
        async with served(1000, 700, 400, need=100) as (a, b):
            assert await spoken(a) == "a"
            await until(lambda: a.keeper.need == 700 * MB)
            assert await spoken(b) == "b"  # 100 was expected of it
            await until(lambda: b.keeper.need == 400 * MB)
            await a.keeper.unload()
            assert await spoken(a) == "a"
            assert b.state is State.UNLOADED

    asyncio.run(main())


def test_an_idle_model_is_unloaded_after_a_while():
    async def main():
        async with served(1000, 300, idle=0.2) as (a,):
            assert await spoken(a) == "a"
            await until(lambda: a.state is State.UNLOADED)
            assert await spoken(a) == "a"

    asyncio.run(main())


def test_a_model_gives_its_memory_back_when_it_is_told_to_and_comes_again_when_it_is_asked():
    async def main():
        gate = asyncio.Event()
        async with served(1000, 300, gates=[gate]) as (a,):
            answer = asyncio.create_task(spoken(a))
            await until(lambda: a.keeper.link and a.keeper.link.calls)
            assert not await a.unload()  # it answers somebody
            gate.set()
            assert await answer == "a"
            assert await a.unload()
            assert a.state is State.UNLOADED
            assert await spoken(a) == "a"

    asyncio.run(main())


def test_lanes_are_tuned_in_the_process_that_works_and_in_those_after_it():
    heard = []

    async def listening(process, channel):
        await channel.send(Settled(DESCRIBED, None, 0.1))
        heard.append((process.pid, await channel.receive()))
        process.die(1)

    async def main():
        keeper = Keeper(DESCRIBED, Processes([listening]), ReplicaSettings())
        replica = SupervisedReplica(keeper, ReplicaSettings(), 1000)
        running = asyncio.create_task(keeper.run())
        await keeper.living(asyncio.get_running_loop().time() + 5)
        replica.tune(40.0, 3000)
        await until(lambda: len(heard) > 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [message for _, message in heard[:2]] == [Tune(40.0, 3000)] * 2
        assert heard[0][0] != heard[1][0]

    asyncio.run(main())


def test_a_model_that_failed_holds_no_room():
    async def main():
        async with served(700, 400, 400, preload=False) as (a, b):
            assert await spoken(a) == "a"
            a.keeper.admitted = True
            await a.keeper.unload()
            a.keeper.admitted = True  # as while it was being loaded
            a.keeper.fail(NotReadyError("its files are damaged"))
            assert a.keeper.memory == 0
            assert await spoken(b) == "b"

    asyncio.run(main())


def test_the_machine_is_measured():
    assert budgeting.machine_memory() > 2**28
