"""The first runs of a network: what they cost, and whether a batch of them equals each alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sonorant.errors import EngineError
from sonorant.networks import Network, Signature
from sonorant.networks.batch import batchable, difference, stack, time_axis, unstack
from sonorant.networks.cost import Measured
from sonorant.networks.signature import BATCH, Array, Feeds
from sonorant.replica.device import Device
from sonorant.replica.lane import DeviceLane

logger = logging.getLogger(__name__)

SECONDS = 0.3
"""in which the cost of a network is measured, after its first run"""
LENGTHS = (0.5, 0.42, 0.45)
"""times the typical one: the rows of the batch that is compared with solo runs"""
TOLERANCE = 1e-4
"""largest difference of an output between a row of a batch and the same call alone"""


async def warm_up(network: Network, device: Device) -> None:
    """Run it once, and where it is quick enough, measure it at several lengths. Raises EngineError."""
    lane, signature = network.lane, network.signature
    if not isinstance(lane, DeviceLane):
        await network.run(**signature.example())
        return
    first = await _timed(network, device, signature.example())
    points = [first]
    try:
        await _measure(network, lane, device, points)
    except EngineError as error:  # a length or a batch that it refuses now, it would refuse in a request
        logger.debug("%s: not measured any further: %s", network.name, error)
    lane.cost.fit(points)


async def _measure(network: Network, lane: DeviceLane, device: Device, points: list[Measured]) -> None:
    """Add what other lengths, and several rows, take; find out whether rows may be batched."""
    signature, [first], spent = network.signature, points, 0.0
    for feeds in _lengths(signature):
        if spent + first.seconds * max(1, _frames(signature, feeds) / first.frames) < SECONDS:
            points.append(await _timed(network, device, feeds))
            spent += points[-1].seconds
    quickest = min(point.seconds for point in points if point.frames == first.frames)
    if quickest * len(LENGTHS) > SECONDS:
        return
    if batchable(signature):
        worst, batch = await device.run(partial(_compared, network))
        lane.batched = worst <= TOLERANCE
        points.append(batch)
        logger.debug("%s: rows of a batch differ from solo runs by %.2g", network.name, worst)
    elif any(BATCH in tensor.dims for tensor in signature.inputs):
        points.append(await _timed(network, device, signature.example(**_rows(len(LENGTHS)))))


def _lengths(signature: Signature) -> list[Feeds]:
    """Of those runs the cost is fitted to: the typical one again, as the first run is slow, and others."""
    axis = time_axis(signature)
    if axis is None:
        return [signature.example()]
    typical = max(axis.typical, axis.min)
    lengths = (typical, axis.min, min(2 * typical, axis.max or 2 * typical))
    sizes: list[dict[str, Any]] = [{axis.name: n} for n in lengths]
    return [signature.example(**size) for size in sizes]


def _frames(signature: Signature, feeds: Feeds) -> int:
    axis = time_axis(signature)
    return max(1, signature.check(feeds)[axis.name]) if axis else 1


def _rows(number: int) -> dict[str, Any]:
    return {BATCH.name: number}


async def _timed(network: Network, device: Device, feeds: Feeds) -> Measured:
    sizes = network.signature.check(feeds)
    running = network.engine.prepare(feeds, large=True)  # what a length takes that may never come again

    def run() -> float:
        began = time.perf_counter()
        running()
        return time.perf_counter() - began

    seconds = await device.run(run, running.stop)
    return Measured(_frames(network.signature, feeds), seconds, sizes.get(BATCH.name, 1))


def _compared(network: Network) -> tuple[float, Measured]:
    """The largest difference between rows of a batch and solo runs, and the batch's time. Blocks."""
    signature, axis = network.signature, time_axis(network.signature)
    calls: list[Feeds] = []
    for seed, part in enumerate([LENGTHS[0]] * len(LENGTHS) if signature.alike else LENGTHS):
        sizes: dict[str, Any] = (
            {} if axis is None else {axis.name: max(axis.min, round(part * max(axis.typical, axis.min)))}
        )
        calls.append(signature.example(seed=seed, **sizes))
    feeds = stack(signature, calls)
    began = time.perf_counter()
    outputs = network.engine.prepare(feeds, large=True)()
    seconds = time.perf_counter() - began
    rows = unstack(signature, outputs, [signature.check(call) for call in calls])
    alone: list[Mapping[str, Array]] = [network.engine.prepare(call, large=True)() for call in calls]
    worst = max(difference(signature, a, row) for a, row in zip(alone, rows, strict=True))
    return worst, Measured(_frames(signature, feeds), seconds, len(calls))
