"""A lane: where the calls of one network wait for a slot of the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sonorant.networks.engines.engine import Engine
from sonorant.networks.signature import Array, Feeds
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.replica.device import Device

T = TypeVar("T")


class DeviceLane:
    """A `Lane` on a device. Every call is one run: batches need a proof that they equal solo runs."""

    def __init__(self, device: Device, meter: Meter | None = None) -> None:
        self._device = device
        self._meter = meter or Meter(Figures(), "network")

    async def run(self, engine: Engine, feeds: Feeds, *, large: bool) -> dict[str, Array]:
        running = engine.prepare(feeds, large=large)
        return await self._device.run(self._meter.timed(running, rows=1), running.stop)

    async def call(self, work: Callable[[], T], stop: Callable[[], None] | None = None) -> T:
        return await self._device.run(self._meter.timed(work, rows=1), stop)
