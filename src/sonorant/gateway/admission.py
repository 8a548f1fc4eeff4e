"""Who is let in: what is promised to those inside is kept, and the others are told when to come back.

Counted are device-seconds, as `estimate` predicts them; `demand` says when they are needed and whether
there is room. The promises: the first audio of speech takes at most `PATIENCE` times as long as on an
idle device, and `limits.queue_seconds`, and then it plays without a gap; a transcript takes at most
`SLOWDOWN` times as long, and `queue_seconds`; what is bulk has `bulk_queue_seconds`, and counts beside the
others only for what it has on the device. A request with a deadline of its own is promised that instead.

A model whose cost is not known is bounded by the number of its requests alone, as all are besides.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from time import monotonic

from sonorant.errors import BusyError, UnsupportedError
from sonorant.gateway import demand as demands
from sonorant.gateway.demand import Demand, Room, due_by, wait
from sonorant.gateway.estimate import Estimate, Size
from sonorant.gateway.quota import Quota
from sonorant.settings import KeySettings, LimitSettings
from sonorant.tasks import Replica, Task, Terms, Tier

PATIENCE, SLOWDOWN = 3.0, 12.0
"""times as long as alone that first audio, and a transcript, may take: so that one rule suits fast models
and slow ones"""
RECENT_SECONDS = 10.0
"""for so long a tenant that asked for something counts as one of those who share"""
IDLE = 0.1
"""a device is idle to somebody who comes while a slot is free and no more than this part of what it can do
is due before him"""
STRAINED_TIMES = 2.0
"""times the promised wait; a device that writes down and was not idle for so long is strained. A queue that
empties now and then is a burst, and may be longer (CoDel's observation: Nichols and Jacobson 2012)"""
OFFERED = 1.5
"""a device that speaks is strained when those who want to listen now, let in or not, would need more than
this part of what it can do; who asks for less than an equal share is not to blame. Clients that each ask
again when they have been answered just fill it, and are no strain"""
OFFERED_SECONDS, OFFERED_MOST = 60.0, 4096
"""a listener is counted for so long at most, and so many of them"""
TINY = 1e-3
"""seconds of patience that anybody has"""
FELT_SECONDS, FELT = 5.0, 1000
"""for so long what a request found counts as pressure, and of so many at most"""
LONGEST_SECONDS = 600.0
"""the latest time at which anybody is told to come back"""


class Offered:
    """What a device would have to do if everybody had been let in who wants to listen now."""

    def __init__(self) -> None:
        self._until: list[tuple[float, float, str]] = []
        """a heap of listeners: when each goes, device-seconds a second that he takes, his tenant"""

    def add(self, demand: Demand, now: float) -> None:
        """One who wants to listen from now on."""
        until = now + min(demand.left, OFFERED_SECONDS)
        heappush(self._until, (until, demand.cost, demand.tenant))

    def rates(self, now: float) -> defaultdict[str, float]:
        """Device-seconds a second, by tenant."""
        while self._until and (self._until[0][0] <= now or len(self._until) > OFFERED_MOST):
            heappop(self._until)
        rates = defaultdict[str, float](float)
        for _, cost, tenant in self._until:
            rates[tenant] += cost
        return rates


@dataclass(slots=True, eq=False)
class Admitted:
    """A request that is inside. Who passes its events on tells what they bring."""

    terms: Terms
    demand: Demand
    size: Size
    """as predicted by the model's cost, without what was learnt"""
    estimate: Estimate
    clock: Callable[[], float]
    scale: float
    """seconds of the demand that a second of audio stands for"""
    seconds: float = 0.0
    """of audio until now"""
    spent: float = 0.0
    """device-seconds until now"""

    def progressed(self, seconds: float, spent: float = 0.0) -> None:
        """`seconds` more of the audio are spoken or heard, and took `spent` device-seconds."""
        self.spent += spent
        if seconds <= 0:
            return
        if not self.seconds and self.size.first:
            self.estimate.first.learn(self.spent, self.size.first)
        self.seconds += seconds
        self.demand.made(seconds * self.scale, self.clock())

    def ended(self) -> None:
        """All is done. What it took is kept in mind for those to come."""
        self.demand.left = 0.0
        self.estimate.work.learn(self.spent, self.size.work)
        self.estimate.seconds.learn(self.seconds, self.size.seconds)


class Admission:
    """What every model has admitted, and what each tenant may ask for."""

    def __init__(
        self,
        limits: LimitSettings,
        keys: Sequence[KeySettings] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self.quotas: dict[str, Quota] = {}
        """by tenant, where there is one"""
        self.take(limits, keys)
        self._inside: dict[str, list[Admitted]] = defaultdict(list)
        self._estimates: dict[tuple[str, str], Estimate] = defaultdict(Estimate)
        self._asked: dict[tuple[str, str], float] = {}
        """when a tenant last asked for a model"""
        self._calm: dict[str, float] = defaultdict(clock)
        """when a model was last idle to somebody who came"""
        self._offered: dict[str, Offered] = defaultdict(Offered)
        """to a model that speaks, by those who listen"""
        self._found: dict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=FELT))
        """when interactive requests came to a model, and what share of the promised wait they found used"""

    def pressure(self) -> float:
        """The share of the promised wait that those who came in the last seconds found used, on average,
        at the model where it is the most; who was refused counts as 1."""
        now = self._clock()
        for found in self._found.values():
            while found and found[0][0] < now - FELT_SECONDS:
                found.popleft()
        return max(
            (sum(s for _, s in found) / len(found) for found in self._found.values() if found), default=0.0
        )

    def take(self, limits: LimitSettings, keys: Sequence[KeySettings]) -> None:
        """What counts from the next request on. A quota that stays the same keeps what is left of it."""
        self.limits, self._keys = limits, {key.name: key for key in keys}
        old = dict(self.quotas)
        self.quotas.clear()
        for key in keys:
            if most := key.requests_per_minute:
                kept = old.get(key.name)
                self.quotas[key.name] = kept if kept and kept.limit == most else Quota(most, self._clock)

    @contextmanager
    def admit(self, replica: Replica, size: Size, terms: Terms, language: str = "") -> Iterator[Admitted]:
        """Hold a place at a model. `language` is one that the model knows, or "".

        Raises BusyError with the time after which there will be room; UnsupportedError where
        `terms.within` is shorter than the first audio takes on an idle device.
        """
        inside, estimate = self._inside[replica.name], self._estimates[replica.name, language]
        self._asked[replica.name, terms.tenant] = self._clock()
        self._check_counts(replica.name, terms.tenant)
        usual = estimate.of(size)
        demand = self._demand(replica, usual, terms)
        self._check_room(replica, demand, terms)
        if quota := self.quotas.get(terms.tenant):
            quota.take()
        scale = demand.left / usual.seconds if usual.seconds else 0.0
        admitted = Admitted(terms, demand, size, estimate, self._clock, scale)
        inside.append(admitted)
        try:
            yield admitted
        finally:
            inside.remove(admitted)

    def _check_counts(self, model: str, tenant: str) -> None:
        quota, key = self.quotas.get(tenant), self._keys.get(tenant)
        if quota and quota.wait:
            raise BusyError(
                f"The key {tenant!r} may send {quota.limit} requests a minute",
                remedy=_later(quota.wait),
                retry_after=quota.wait,
            )
        held = Counter(admitted.terms.tenant for every in self._inside.values() for admitted in every)
        if key and key.concurrent and held[tenant] >= key.concurrent:
            raise BusyError(
                f"The key {tenant!r} already has {key.concurrent} requests waiting or running",
                remedy="Wait until one of them has ended",
            )
        if len(self._inside[model]) >= self.limits.waiting:
            self._found[model].append((self._clock(), 1.0))
            raise BusyError(
                f"{model} already has {self.limits.waiting} requests waiting or running",
                remedy="Try again in a moment, or let the operator raise limits.waiting",
            )

    def _demand(self, replica: Replica, size: Size, terms: Terms) -> Demand:
        """When the work of a request is needed. Raises UnsupportedError where that can never be."""
        now = self._clock()
        played = replica.task in (Task.SPEECH, Task.VOCODING) and terms.tier is Tier.INTERACTIVE
        if not (played and size.work):
            bulk = terms.tier is Tier.BULK
            patience = self.limits.bulk_queue_seconds if bulk else self.limits.queue_seconds
            due = now + patience + SLOWDOWN * size.work
            return Demand(tenant=terms.tenant, cost=1.0, left=size.work, piece=size.work, due=due)
        if terms.within is not None and terms.within < size.first:
            raise UnsupportedError(
                f"{replica.name} cannot have the first audio ready in {terms.within:g} s",
                why=f"It takes about {size.first:.2f} s even when nothing else is asked for",
                remedy="Ask for it later, or begin with a shorter sentence",
                param="first_audio_ms",
            )
        within = self.limits.queue_seconds + PATIENCE * size.first
        if terms.within is not None:
            within = terms.within
        seconds = max(size.seconds, size.work)  # slower than it plays: it has gaps, and a slot for itself
        cost = size.work / seconds
        return Demand(
            tenant=terms.tenant,
            cost=cost,
            left=seconds,
            piece=size.first / cost,
            due=now + within,
            played=True,
        )

    def _check_room(self, replica: Replica, demand: Demand, terms: Terms) -> None:
        slots, now = replica.load().slots, self._clock()
        inside = self._inside[replica.name]
        interactive = terms.tier is Tier.INTERACTIVE
        before = [a.demand for a in inside if a.terms.tier is Tier.INTERACTIVE or a.terms.tier is terms.tier]
        if interactive and (running := _running(inside, slots)):
            before.append(Demand(cost=1.0, left=running, piece=running, due=now))
        seconds = wait(demand, before, self._room(replica.name, demand, before, slots, now), now)
        if demand.played:
            self._offered[replica.name].add(demand, now)
        if interactive and terms.within is None:
            patience = slots * max(demand.due - now - demand.by(demand.due), TINY)
            used = 1.0 if seconds else min(1.0, demands.before(before, demand.due) / patience)
            self._found[replica.name].append((now, used))
        if not seconds:
            return
        soon = demand.played and terms.within is not None
        raise BusyError(
            f"{replica.name} would have the first audio ready {seconds:.1f} s later than asked"
            if soon
            else f"{replica.name} has as much to do as it can do in time",
            remedy=_later(seconds),
            retry_after=min(seconds, LONGEST_SECONDS),
        )

    def _room(self, model: str, asked: Demand, before: Sequence[Demand], slots: int, now: float) -> Room:
        soon = IDLE * slots * (asked.due - now)
        if sum(demand.urgent for demand in before) < slots and due_by(before, asked.due) <= soon:
            self._calm[model] = now
        self._asked = {who: when for who, when in self._asked.items() if when > now - RECENT_SECONDS}
        active = {tenant for which, tenant in self._asked if which == model}
        active |= {admitted.terms.tenant for admitted in self._inside[model]}
        key = self._keys.get(asked.tenant)
        if asked.played:
            offered = self._offered[model].rates(now)
            strained = sum(offered.values()) > OFFERED * slots and offered[asked.tenant] > slots / len(active)
        else:
            strained = now - self._calm[model] > STRAINED_TIMES * (asked.due - now)
        return Room(
            slots=slots,
            strained=strained,
            active=len(active),
            most=key.share if key else 1.0,
        )


def _running(inside: Sequence[Admitted], slots: int) -> float:
    """Device-seconds until the slots that bulk requests hold are free: half a stretch for each slot."""
    bulk = (admitted for admitted in inside if admitted.terms.tier is Tier.BULK)
    held = (min(admitted.demand.left, admitted.estimate.of(admitted.size).first) for admitted in bulk)
    return sum(sorted(held, reverse=True)[:slots]) / 2


def _later(seconds: float) -> str:
    return f"Try again in {max(1, round(min(seconds, LONGEST_SECONDS)))} s"
