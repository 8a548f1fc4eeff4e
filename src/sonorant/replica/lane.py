"""A lane: where the calls of one network wait for a slot of the device, and may become rows of one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sonorant.errors import EngineError, SonorantError
from sonorant.networks.batch import stack, time_axis, together, unstack
from sonorant.networks.cost import CostModel
from sonorant.networks.engines.engine import Engine, Running
from sonorant.networks.network import Kin
from sonorant.networks.signature import Array, Axis, Feeds, Signature
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter, out_of_memory
from sonorant.replica.device import Device
from sonorant.replica.memory import give_back

T = TypeVar("T")

MEL_FRAME = 0.01
"""seconds: what budgets count in"""
PADDING = 0.2
"""of a batch may be padding"""
WORTH = 0.1
"""of its time must be saved by a batch, or its rows run by themselves: the first is then ready earlier"""


class DeviceLane:
    """A `Lane` on a device. Batches form when a slot is free, where they are proven to equal solo runs."""

    def __init__(
        self, device: Device, signature: Signature | None = None, meter: Meter | None = None
    ) -> None:
        """Without a signature nothing is predicted, and every call is one run."""
        self._device, self._signature = device, signature
        self._meter = meter or Meter(Figures(), "network")
        self.axis = time_axis(signature) if signature else None
        self.cost = CostModel()
        self.batched = False
        """whether it is proven that batches equal solo runs; nothing is batched before"""

    async def run(
        self, engine: Engine, feeds: Feeds, sizes: Mapping[str, int], *, large: bool
    ) -> dict[str, Array]:
        frames = sizes.get(self.axis.name, 1) if self.axis else 1
        call = _Call(self, engine, feeds, sizes, frames, large)
        joins = self.batched and sizes.get("batch") == 1 and not large and self._pays(frames)
        kin = self if joins else None
        cost = self.cost.predict(frames)
        return await self._device.run(call, call.stop, cost=cost, kin=kin, meter=self._meter)

    def _pays(self, frames: int) -> bool:
        """Whether two such runs take less time together than apart, so that it is worth a wait."""
        return self.cost.predict(frames, 2) <= (1 - WORTH) * 2 * self.cost.predict(frames)

    async def call(
        self,
        work: Callable[[], T],
        stop: Callable[[], None] | None = None,
        *,
        cost: float = 0.0,
        kin: Kin | None = None,
    ) -> T:
        return await self._device.run(work, stop, cost=cost, kin=kin, meter=self._meter)

    def companions(self, first: _Call, others: Sequence[_Call], slack: float) -> list[int]:
        """Calls of about the length of `first`, in the order in which they are due, within the budget.

        None is taken that would make a batch late of which `first` alone is in time.
        """
        chosen: list[int] = []
        total = longest = first.frames
        for i, other in enumerate(others):
            rows, most = len(chosen) + 2, max(longest, other.frames)
            seconds = self.cost.predict(most, rows)
            apart = sum(
                self.cost.predict(call.frames) for call in (first, other, *(others[j] for j in chosen))
            )
            if (
                rows * most * _weight(self.axis) <= self._device.lanes.max_frames
                and 1 - (total + other.frames) / (rows * most) <= PADDING
                and seconds <= (1 - WORTH) * apart
                and not self.cost.predict(first.frames) <= slack < seconds
                and self._signature is not None
                and together(self._signature, first.feeds, other.feeds)
            ):
                chosen.append(i)
                total, longest = total + other.frames, most
        return chosen

    def join(self, works: Sequence[_Call]) -> _Batch:
        assert self._signature is not None  # or nothing would have been chosen
        return _Batch(self, self._signature, works)

    def ran_out(self, error: BaseException) -> bool:
        """Whether a run failed for want of memory, which is counted and given back where it lies unused."""
        if not out_of_memory(error):
            return False
        self._meter.figures.count("out_of_memory")
        give_back()
        return True

    def exhausted(self, error: BaseException) -> EngineError:
        return EngineError(
            f"There is not enough memory for a run of {self._meter.stage}",
            why=str(error),
            remedy="Send less at a time, or let the operator serve fewer models or add memory",
        )


@dataclass(eq=False, slots=True)
class _Call:
    """One call, which is a run of its own unless others join it."""

    lane: DeviceLane
    engine: Engine
    feeds: Feeds
    sizes: Mapping[str, int]
    frames: int
    large: bool
    running: Running | None = None
    stopped: bool = False

    def __call__(self) -> dict[str, Array]:
        """Once more where memory was short. Raises EngineError."""
        try:
            return self._run(large=self.large)
        except (SonorantError, MemoryError) as error:
            if self.stopped or not self.lane.ran_out(error):
                raise
        try:
            return self._run(large=True)  # nothing of it is kept for the next
        except (SonorantError, MemoryError) as error:
            raise self.lane.exhausted(error) if out_of_memory(error) else error from error

    def _run(self, *, large: bool) -> dict[str, Array]:
        self.running = self.engine.prepare(self.feeds, large=large)
        began = time.perf_counter()
        outputs = self.running()
        self.lane.cost.observe(self.frames, 1, time.perf_counter() - began)
        return outputs

    def stop(self) -> None:
        self.stopped = True
        if self.running is not None:
            self.running.stop()


class _Batch:
    """Several calls as the rows of one run. Where memory is short for it, its halves are two runs; where
    that does not help, or it fails otherwise, each is run by itself."""

    def __init__(self, lane: DeviceLane, signature: Signature, calls: Sequence[_Call]) -> None:
        self._lane, self._signature, self._calls = lane, signature, calls
        self._stopped = False
        self._running: Running | None = None
        frames = [call.frames for call in calls]
        self.padding = 1 - sum(frames) / (len(frames) * max(frames))

    def __call__(self) -> list[dict[str, Array] | SonorantError]:
        try:
            return list(self._together(self._calls))
        except (SonorantError, MemoryError) as error:
            half = len(self._calls) // 2
            if half < 2 or not self._lane.ran_out(error):
                return self._alone(self._calls, error)
        return [
            outcome for calls in (self._calls[:half], self._calls[half:]) for outcome in self._part(calls)
        ]

    def _part(self, calls: Sequence[_Call]) -> list[dict[str, Array] | SonorantError]:
        try:
            return list(self._together(calls))
        except (SonorantError, MemoryError) as error:
            self._lane.ran_out(error)
            return self._alone(calls, error)

    def _together(self, calls: Sequence[_Call]) -> Sequence[dict[str, Array]]:
        feeds = stack(self._signature, [call.feeds for call in calls])
        self._running = calls[0].engine.prepare(feeds)
        began = time.perf_counter()
        outputs = self._running()
        longest = max(call.frames for call in calls)
        self._lane.cost.observe(longest, len(calls), time.perf_counter() - began)
        return unstack(self._signature, outputs, [call.sizes for call in calls])

    def _alone(self, calls: Sequence[_Call], error: Exception) -> list[dict[str, Array] | SonorantError]:
        if not self._stopped:
            return [_outcome(call) for call in calls]
        told = error if isinstance(error, SonorantError) else self._lane.exhausted(error)
        return [told] * len(calls)

    def stop(self) -> None:
        self._stopped = True
        if self._running is not None:
            self._running.stop()


def _outcome(call: _Call) -> dict[str, Array] | SonorantError:
    try:
        return call()
    except SonorantError as error:
        return error


def _weight(axis: Axis | None) -> float:
    """Of a step of the axis, in mel frames: finer steps than 10 ms count by their duration, others as one."""
    seconds = axis.seconds if axis else None
    return 1.0 if seconds is None else min(1.0, seconds / MEL_FRAME)
