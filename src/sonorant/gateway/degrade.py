"""The two ladders of a server, one for load and one for memory: what each step does, and what presses.

Steps change what is done for requests that come after them. Nothing is loaded for a step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from sonorant.gateway.gateway import Gateway
from sonorant.gateway.ladder import Ladder, Step
from sonorant.gateway.memory import machine_memory, machine_share
from sonorant.gateway.standing import Eased
from sonorant.observe.gpus import Gpu, Gpus
from sonorant.settings import LaneSettings, Settings
from sonorant.tasks import State

log = logging.getLogger("sonorant.server")

TEND_SECONDS = 1.0
LONGER, LEAST_WINDOW_MS, LARGER, SMALLER = 4.0, 40.0, 2, 4
"""under load lanes gather for so many times as long, at least 40 ms, up to twice the frames; when memory is
short batches have a quarter of the frames"""
CALM = 0.5
"""times the load at which a step was taken, below which it is taken back"""
MARGIN = 0.05
"""of memory, the same"""


class Degradation:
    """Tends the ladders of a gateway."""

    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        *,
        clock: Callable[[], float] = monotonic,
        share: Callable[[], float] = machine_share,
        gpus: Callable[[], Sequence[Gpu]] | None = None,
    ) -> None:
        """share: of the machine's memory that is in use. gpus: those to watch; None = as the device says."""
        self._gateway, self._memory, self._lanes = gateway, settings.memory, settings.lanes
        self._share, self._gpus = share, gpus or _gpus_of(settings.device)
        self._budget = self._memory.budget_bytes or round(self._memory.share * machine_memory())
        self._exhausted = self._runs_out_of_memory()
        chosen = settings.degrade
        load, most, evict = chosen.load_share, self._memory.degrade_share, self._memory.evict_share
        refuse = self._memory.refuse_share
        self.load = Ladder(
            "load",
            [
                Step(
                    name=Eased.LARGER,
                    above=load,
                    below=CALM * load,
                    enter=self._tune,
                    leave=self._tune,
                ),
                Step(name=Eased.FAST, above=load, below=CALM * load),
                Step(name=Eased.FALLBACK, above=load, below=CALM * load),
            ],
            up_seconds=chosen.up_seconds,
            down_seconds=chosen.down_seconds,
            clock=clock,
        )
        self.memory = Ladder(
            "memory",
            [
                Step(
                    name=Eased.CACHES,
                    above=most,
                    below=most - MARGIN,
                    enter=gateway.cache.spare,
                    leave=gateway.cache.keep,
                ),
                Step(
                    name=Eased.SMALLER,
                    above=most,
                    below=most - MARGIN,
                    enter=self._tune,
                    leave=self._tune,
                ),
                Step(name=Eased.UNLOAD, above=evict, below=evict - MARGIN, enter=self._unload),
                Step(name=Eased.FAST, above=evict, below=evict - MARGIN),
                Step(name=Eased.REFUSE_BULK, above=refuse, below=refuse - MARGIN),
                Step(name=Eased.REFUSE, above=refuse, below=refuse - MARGIN),
            ],
            up_seconds=chosen.up_seconds,
            down_seconds=chosen.down_seconds,
            clock=clock,
        )
        gateway.standing.ladders = (self.load, self.memory)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tend the ladders while this is open."""
        tending = asyncio.create_task(self._run())
        try:
            yield
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                await self.tend()
            except Exception:  # the next time may go well, and without ladders the server still serves
                log.exception("the ladders could not be tended")

    async def tend(self) -> None:
        """Feel both pressures once. Called about once a second."""
        await self.load.feel(self._gateway.admission.pressure())
        pressure = self._memory_pressure(await asyncio.to_thread(self._gpus))
        if Eased.UNLOAD in self.memory.taken and pressure >= self._memory.evict_share:
            await self._unload()
        await self.memory.feel(pressure)
        exhausted = self._runs_out_of_memory()
        if exhausted > self._exhausted and Eased.FAST not in self.memory.taken:
            # no further: whoever sends what is too large must not have others refused
            await self.memory.climb("a run was out of memory")
        self._exhausted = exhausted

    def _memory_pressure(self, gpus: Sequence[Gpu]) -> float:
        """The share of the machine's memory in use; at least that of eviction where the models hold more
        than their budget, or a GPU has little left."""
        held = sum(replica.load().memory for replica in self._gateway.router.replicas)
        short = any(gpu.memory - gpu.memory_used < self._memory.gpu_free_bytes for gpu in gpus)
        least = self._memory.evict_share if short or held > self._budget else 0.0
        return max(self._share(), least)

    def _runs_out_of_memory(self) -> float:
        """Counted in all models until now."""
        return sum(
            figure.value
            for replica in self._gateway.router.replicas
            for snapshot in replica.figures()
            for figure in snapshot.figures
            if figure.name == "out_of_memory"
        )

    async def _tune(self) -> None:
        """Tell the models how to gather now. When memory is short that counts more than load."""
        lanes = _tuned(self._lanes, larger=Eased.LARGER in self.load.taken, smaller=self._short)
        for replica in self._gateway.router.replicas:
            replica.tune(lanes.window_ms, lanes.max_frames)

    @property
    def _short(self) -> bool:
        return Eased.SMALLER in self.memory.taken

    async def _unload(self) -> None:
        """The model that has not been asked for for the longest time goes."""
        ready = (r for r in self._gateway.router.replicas if r.state is State.READY)
        for replica in sorted(ready, key=lambda r: self._gateway.used.get(r.name, 0.0)):
            if await replica.unload():
                return


def _tuned(lanes: LaneSettings, *, larger: bool, smaller: bool) -> LaneSettings:
    changes: dict[str, float] = {}
    if larger:
        changes["window_ms"] = max(LONGER * lanes.window_ms, LEAST_WINDOW_MS)
        changes["max_frames"] = LARGER * lanes.max_frames
    if smaller:
        changes["max_frames"] = max(1, lanes.max_frames // SMALLER)
    return lanes.model_copy(update=changes)


def _gpus_of(device: str) -> Callable[[], Sequence[Gpu]]:
    """Those that models may run on, by the setting `device`."""
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return tuple
    gpus = Gpus()
    return lambda: [gpu for gpu in gpus.read() if gpu.index == (index or "0") or kind == "auto"]
