"""Processes of replicas that follow a script, for tests of what keeps and asks them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sonorant.tasks import Cost, Described, Load, Task
from sonorant.wire.channel import Channel, ChannelBroken
from sonorant.wire.messages import Beat, Fault, Settled, ToReplica

Behave = Callable[["FakeProcess", Channel], Awaitable[None]]
DESCRIBED = Described(name="amy", task=Task.SPEECH, languages=("en",))


class FakeProcess:
    """A `gateway.processes.Process` whose other end is a coroutine in this one."""

    def __init__(self, pid: int, behave: Behave) -> None:
        self.pid = pid
        self.link, theirs = socket.socketpair()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.killed = False
        self._channel: Channel[ToReplica] | None = None
        self._task = asyncio.create_task(self._live(behave, theirs))

    def kill(self) -> None:
        if not self.ended.done():
            self.killed = True
            self.die(-9)

    def die(self, status: int) -> None:
        if self._channel is not None:
            self._channel.close()
        self._task.cancel()
        if not self.ended.done():
            self.ended.set_result(status)

    async def _live(self, behave: Behave, link: socket.socket) -> None:
        self._channel = await Channel.over(link, ToReplica)
        try:
            await behave(self, self._channel)
        except ChannelBroken:
            self.die(0)


@dataclass
class Processes:
    """Spawns one fake process after the other; the last behaviour stays for all further ones."""

    behaviours: list[Behave]
    spawned: list[FakeProcess] = field(default_factory=list)

    async def __call__(self, known: Cost | None) -> FakeProcess:
        behave = self.behaviours[min(len(self.spawned), len(self.behaviours) - 1)]
        await asyncio.sleep(0)
        self.spawned.append(FakeProcess(len(self.spawned) + 1, behave))
        return self.spawned[-1]


async def settle(channel: Channel, fault: Fault | None = None, described: Described = DESCRIBED) -> None:
    await channel.send(Settled(described, fault, 0.1))


async def beat(channel: Channel) -> None:
    while True:
        channel.post(Beat(Load(slots=2)))
        await asyncio.sleep(0.02)
