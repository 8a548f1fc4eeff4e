"""A replica in a process of its own: it loads, tells at each beat how busy it is, ends with the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.observe import logs, tracing
from sonorant.observe import process as measured
from sonorant.replica.calls import Calls
from sonorant.tasks import Cost, State
from sonorant.wire.channel import Channel, ChannelBroken
from sonorant.wire.messages import Beat, Fault, Settled, ToReplica

if TYPE_CHECKING:
    from sonorant.replica.local import LocalReplica

BEAT_SECONDS = 0.5
QUIET_BEATS = 10
"""without work, after which the memory is given back that engines and the C library keep for more of it"""
MEASURED_BEATS = 4
"""memory is measured at one beat in so many: the kernel walks all pages for it"""
CLOSING_SECONDS = 3.0
"""for what runs to end, once the gateway has hung up"""


def preload() -> None:
    """Import what every replica needs, before the first is forked."""
    from sonorant.families import FAMILIES

    for module in ("sonorant.replica.serving", *(f"sonorant.families.{name}" for name in FAMILIES)):
        import_module(module)


def run(link: socket.socket, spec: str) -> None:
    """Serve one model until the gateway hangs up.

    spec: JSON of the settings, the model's name, and what a process before this one knew of its cost.
    """
    from sonorant.replica.serving import Replicas
    from sonorant.settings import Settings

    order = json.loads(spec)
    settings, model = Settings.model_validate(order["settings"]), str(order["model"])
    if cores := settings.replicas.cores.get(model):
        os.sched_setaffinity(0, cores)  # of this thread, and so of all that it will start
    logs.configure(settings.log, process=model)
    tracing.configure(settings.trace.endpoint, process=model)
    known = Cost(**order["known"]) if order.get("known") else None
    asyncio.run(_serve(link, Replicas(settings, [model], known)))


async def _serve(link: socket.socket, replicas: Any) -> None:
    channel: Channel[ToReplica] = await Channel.over(link, ToReplica)
    replica: LocalReplica = replicas.all[0]
    beating = asyncio.create_task(_beat(channel, replica))
    loading = asyncio.create_task(_load(channel, replicas))
    calls = Calls(channel, replica)
    try:
        while True:
            calls.obey(await channel.receive())
    except ChannelBroken:
        pass
    finally:
        beating.cancel()
        loading.cancel()
        calls.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await replicas.close()
        tracing.shutdown()
        os._exit(0)  # what does not end by now never would


async def _load(channel: Channel[ToReplica], replicas: Any) -> None:
    began = time.perf_counter()
    await replicas.start()
    replica: LocalReplica = replicas.all[0]
    fault = None if replica.state is State.READY else Fault.of(replica.failure)
    channel.post(Settled(replica.describe(), fault, time.perf_counter() - began))


async def _beat(channel: Channel[ToReplica], replica: LocalReplica) -> None:
    quiet = QUIET_BEATS
    relaxing: asyncio.Task[None] | None = None
    for number in count():
        load = replica.load()
        quiet = 0 if load.running or load.waiting else quiet + 1
        if quiet == QUIET_BEATS and (relaxing is None or relaxing.done()):
            relaxing = asyncio.create_task(replica.relax())  # it waits for slots, and the beat must not
        if number % MEASURED_BEATS == 0:
            memory = held_bytes()
        figures = (*replica.figures(), measured.snapshot())
        channel.post(Beat(replace(load, memory=memory), figures))
        await asyncio.sleep(BEAT_SECONDS)


def held_bytes() -> int:
    """What this process holds; of pages that several share, its part (Linux: PSS)."""
    for line in _lines("/proc/self/smaps_rollup"):
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])
    return 0


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
