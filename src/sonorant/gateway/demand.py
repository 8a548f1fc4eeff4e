"""What admitted requests still need of a device, and by when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

HORIZONS = tuple(0.2 * 1.4**step for step in range(32))
"""seconds from now at which what is due is compared with what the device can do: 0.2 s to two hours"""
KEPT_FREE = 0.5
"""of what the device can do, for those who hold less than an equal share of it"""
STRAINED, STRAINED_BURST = 0.8, 0.3
"""of what the device can do, that is promised while it is strained: at length, and before a first piece"""


@dataclass(slots=True, kw_only=True, eq=False)
class Demand:
    """One request's work, and when it is needed.

    Speech is needed as it is played: the first piece by `due`, and from then on `cost` device-seconds
    for each second of audio, always a whole `piece` ahead. Of a recording, or of speech that nobody
    waits for, all is needed by `due`: its seconds are device-seconds, and the piece is the whole.
    """

    tenant: str = ""
    cost: float
    """device-seconds a second"""
    left: float
    """seconds that are still to be made"""
    piece: float
    """seconds that are made at once: none of them is there before all of them are made"""
    due: float
    """when the next are needed, by the clock of `Admission`"""
    played: bool = False
    playing: bool = False

    @property
    def seconds(self) -> float:
        """Device-seconds that it still needs."""
        return self.cost * self.left

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for its next piece now, as nothing of it can be heard yet."""
        return self.left > 0 and not self.playing

    @property
    def first(self) -> float:
        """Device-seconds until somebody hears the first of it."""
        return self.cost * min(self.left, self.piece) if self.played and not self.playing else 0.0

    def by(self, when: float) -> float:
        """Device-seconds that it needs until `when`."""
        return self.cost * min(self.left, when - self.due + self.piece) if when >= self.due else 0.0

    def made(self, seconds: float, now: float) -> None:
        """So much more is there. It plays from the first on; after a gap all is needed later."""
        self.left = max(0.0, self.left - seconds)
        if self.played:
            self.due = (max(self.due, now) if self.playing else now) + seconds
            self.playing = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a device can do, and how much of that may be promised to one who asks."""

    slots: int
    """pieces of work at a time"""
    strained: bool = False
    """more is asked of it than it can do: what a burst may use is kept free, so that nobody waits long"""
    active: int = 1
    """tenants that have or want something of it now, the one who asks among them"""
    most: float = 1.0
    """what that one may hold of it, by the operator's word"""

    def allows(self, held: float, due: float, seconds: float, burst: float = 0.0) -> bool:
        """Whether `due` device-seconds, `held` of them by the one who asks, can be done in `seconds`, and
        `burst` seconds more that a strained device hardly lends."""
        whole = self.slots * (seconds + burst)
        free = self.slots * (STRAINED * seconds + STRAINED_BURST * burst) if self.strained else whole
        if due > free or held > self.most * whole:
            return False
        return held <= free / self.active or due <= (1 - KEPT_FREE) * free


def wait(asked: Demand, admitted: Sequence[Demand], room: Room, now: float) -> float:
    """How much later `asked` would have to come for every promise to be kept, seconds; 0 = none, inf = hours.

    They are kept when at each time from its first piece on, what is due by then is no more than can be
    done until then (the demand bound of earliest-due-first scheduling: Baruah, Rosier and Howell 1990).
    The first piece, which no second slot makes faster, must fit behind what is done before it. Who
    finds the device empty never waits, however much he asks for.
    """
    if not asked.seconds or not any(demand.seconds for demand in admitted):
        return 0.0
    patience = asked.due - now - asked.by(asked.due)
    own = [demand for demand in admitted if demand.tenant == asked.tenant]
    others = [(horizon, due_by(admitted, now + horizon), due_by(own, now + horizon)) for horizon in HORIZONS]

    def fits(later: float) -> bool:
        start = asked.due + later
        if not room.allows(before(own, start), before(admitted, start), later, burst=patience):
            return False
        for horizon, due, held in others:
            new = asked.by(now + horizon - later)
            if new and not room.allows(held + new, due + new, horizon):
                return False
        return True

    return next((later for later in (0.0, *HORIZONS) if fits(later)), inf)


def due_by(demands: Iterable[Demand], when: float) -> float:
    """Device-seconds that all of them need until `when`."""
    return sum(demand.by(when) for demand in demands)


def before(demands: Iterable[Demand], when: float) -> float:
    """Device-seconds that are done before a first piece that is due then: who came before has his first."""
    return sum(max(demand.by(when), demand.first) for demand in demands)
