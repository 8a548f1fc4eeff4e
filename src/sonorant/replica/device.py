"""A device and its slots: where everything that computes takes its turn, off the event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any, TypeVar, cast

from sonorant.networks.network import Joined, Kin
from sonorant.observe.machine import cores
from sonorant.observe.meter import Asked, Meter
from sonorant.replica.claims import Claim, Clock, Underruns, current
from sonorant.settings import LaneSettings
from sonorant.tasks import Load

T = TypeVar("T")

QUIET = 5.0
"""seconds without interactive work after which bulk work may take the last slot, too"""


@dataclass(eq=False, slots=True)
class _Job:
    """A piece of work, from its arrival to its end."""

    work: Callable[[], Any]
    stop: Callable[[], None] | None
    kin: Kin | None
    claim: Claim
    cost: float
    came: float
    due: float
    number: int
    asked: Asked | None
    future: Future[Any] = field(default_factory=Future)
    unwanted: bool = False


@dataclass(eq=False, slots=True)
class _Run:
    """What a slot computes: a job, or several together."""

    jobs: list[_Job]
    began: float
    joined: Joined | None

    @property
    def bulk(self) -> bool:
        return all(job.claim.bulk for job in self.jobs)

    def results(self) -> list[Any]:
        """Compute. Blocks."""
        work: Callable[[], Any] = self.joined or self.jobs[0].work
        if (asked := self.jobs[0].asked) is not None:
            padding = self.joined.padding if self.joined else 0.0
            result = asked.run(work, rows=len(self.jobs), padding=padding)
        else:
            result = work()
        return list(result) if self.joined else [result]

    def stop(self) -> None:
        stop = self.joined.stop if self.joined else self.jobs[0].stop
        if stop is not None:
            stop()


class Device:
    """`slots` pieces of work at a time, the earliest due first; which one is decided when a slot is free.

    A slot is a core, or a stream of a GPU. While interactive work comes, bulk work leaves one slot free,
    since what runs cannot be put aside. The queue is bounded by its callers: a request waits for a few
    pieces of work at a time, and the gateway admits a bounded number of requests.
    """

    def __init__(
        self,
        name: str,
        slots: int | None = None,
        clock: Clock = time.monotonic,
        lanes: LaneSettings | None = None,
    ) -> None:
        """slots: in place of the settings' `streams`"""
        self.name, self.clock, self.lanes = name, clock, lanes or LaneSettings()
        self.slots = slots or self.lanes.streams or default_slots(name)
        self.underruns = Underruns()
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix=f"sonorant-{name}")
        self._lock, self._numbers = Lock(), count()
        self._waiting: list[_Job] = []
        self._running: list[_Run] = []
        self._interactive = -math.inf
        """when interactive work was last seen"""

    async def run(
        self,
        work: Callable[[], T],
        stop: Callable[[], None] | None = None,
        *,
        cost: float = 0.0,
        kin: Kin | None = None,
        claim: Claim | None = None,
        meter: Meter | None = None,
    ) -> T:
        """Run `work` on a slot. `cost`: how many seconds it should take.

        It is due as `claim` says, which is that of the request that the caller computes for. With `kin` it
        may be run together with what waits beside it. `meter` measures it. When the caller is cancelled,
        work that has not begun never begins, and work that runs is told to `stop` as soon as nobody wants
        its results; its slot stays taken until it really ends.
        """
        claim = claim or current() or Claim(clock=self.clock)
        asked = meter.asked() if meter is not None else None
        job = _Job(work, stop, kin, claim, cost, self.clock(), claim.due(cost), next(self._numbers), asked)
        with self._lock:
            self._waiting.append(job)
            if not claim.bulk:
                self._interactive = self.clock()
        try:
            self._pool.submit(self._visit)
            return cast(T, await asyncio.wrap_future(job.future))
        except BaseException:
            self._withdraw(job)
            raise

    def tune(self, window_ms: float, max_frames: int) -> None:
        """Gather for so long, and so many frames at most, in the runs that are chosen from now on."""
        self.lanes = self.lanes.model_copy(update={"window_ms": window_ms, "max_frames": max_frames})

    def load(self) -> Load:
        """How busy it is at this moment."""
        with self._lock:
            now = self.clock()
            return Load(
                slots=self.slots,
                running=len(self._running),
                waiting=len(self._waiting),
                waiting_seconds=sum(job.cost for job in self._waiting),
                longest_running=max((now - run.began for run in self._running), default=0.0),
            )

    def close(self) -> None:
        """Drop what waits and let what runs end; returns when it has."""
        with self._lock:
            dropped, self._waiting = self._waiting, []
        for job in dropped:
            job.future.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _visit(self) -> None:
        """Compute until nothing is left that may begin."""
        while (run := self._take()) is not None:
            self._compute(run)

    def _take(self) -> _Run | None:
        with self._lock:
            now = self.clock()
            while chosen := self._chosen(now):
                for job in chosen:
                    self._waiting.remove(job)
                # whose caller is being cancelled at this very moment is left out
                if jobs := [job for job in chosen if job.future.set_running_or_notify_cancel()]:
                    kin = jobs[0].kin
                    joined = kin.join([job.work for job in jobs]) if kin and len(jobs) > 1 else None
                    run = _Run(jobs, now, joined)
                    self._running.append(run)
                    return run
            return None

    def _chosen(self, now: float) -> list[_Job]:
        """What is to run next: the earliest due, and what runs with it."""
        bulk = self._bulk_may_begin(now)
        jobs = sorted((job for job in self._waiting if bulk or not job.claim.bulk), key=_by_due)
        if not jobs:
            return []
        first = next((job for job in jobs if not self._gathers(job, now)), jobs[0])
        if first.kin is None:
            return [first]
        others = [job for job in jobs if job.kin is first.kin and job is not first]
        chosen = first.kin.companions(first.work, [job.work for job in others], first.due - now)
        return [first, *(others[i] for i in chosen)]

    def _gathers(self, job: _Job, now: float) -> bool:
        """Whether others go before it, since more of its kin may come."""
        window = self.lanes.window_ms / 1000
        return job.kin is not None and now - job.came < window and now + window < job.due

    def _bulk_may_begin(self, now: float) -> bool:
        quiet = now - self._interactive > QUIET
        room = self.slots if quiet or self.slots == 1 else self.slots - 1
        return sum(run.bulk for run in self._running) < room

    def _compute(self, run: _Run) -> None:
        try:
            for job in run.jobs:
                job.claim.begin()
                if job.asked is not None:
                    job.asked.begins()
            results = run.results()
        except BaseException as error:  # handed on to who awaits it
            results = [error] * len(run.jobs)
        with self._lock:
            self._running.remove(run)
            seconds = self.clock() - run.began
            whole = sum(job.cost for job in run.jobs)
            for job in run.jobs:
                job.claim.charge(seconds * (job.cost / whole if whole else 1 / len(run.jobs)))
        for job, result in zip(run.jobs, results, strict=True):
            if isinstance(result, BaseException):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)

    def _withdraw(self, job: _Job) -> None:
        """Nobody wants its result any more."""
        with self._lock:
            job.unwanted = True
            if job in self._waiting:
                self._waiting.remove(job)
                return
            run = next((run for run in self._running if job in run.jobs), None)
            unwanted = run is not None and all(job.unwanted for job in run.jobs)
        if run is not None and unwanted:
            run.stop()


def default_slots(device: str = "cpu") -> int:
    """One slot a core: what releases the GIL (engines, numpy, codecs) then fills the machine.

    On a GPU two: one stream computes while the other one's results are fetched and its feeds are made.
    """
    return 2 if device.startswith("cuda") else max(2, cores())


def _by_due(job: _Job) -> tuple[float, int]:
    return job.due, job.number
