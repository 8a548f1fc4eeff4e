"""What a request claims of a device: when its next work is due, and what it has had so far.

One order serves everything: earliest due first. Where somebody listens, the next audio is due when the
listener would run out of it. Where somebody waits for the whole, work is due `RATIO` times its own length
after it came: the deadline form of highest response ratio next, in which a short job is due soon, and
waiting brings every job nearer to its turn. Bulk work is due a long time later. As all of them are points
in time, nothing waits for ever.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from sonorant.tasks import Terms, Tier

T = TypeVar("T")
Clock = Callable[[], float]
"""seconds, never going back"""

FIRST_AUDIO = 0.2
"""seconds after its arrival in which a request's first audio is due, where it does not say"""
RATIO = 4.0
"""times the device-seconds of a job that is not listened to, until it is due"""
PATIENCE = 10.0
"""seconds by which what a long job has had already puts off its next piece, at most"""
BULK = 60.0
"""seconds by which bulk work is due later"""


_ANNOUNCE: ContextVar[Callable[[], None] | None] = ContextVar("announce", default=None)


def announce_begin(announce: Callable[[], None]) -> None:
    """Call this, in some thread, when the first work begins of the request that this task will make."""
    _ANNOUNCE.set(announce)


class Claim:
    """Of a request that nobody listens to while it is computed."""

    def __init__(self, terms: Terms | None = None, clock: Clock = time.monotonic) -> None:
        self._terms, self._clock = terms or Terms(), clock
        self._arrived = clock()
        self._announce = _ANNOUNCE.get()
        self._answered = False
        self._told = 0.0
        self.spent = 0.0
        """device-seconds"""

    @property
    def bulk(self) -> bool:
        return self._terms.tier is Tier.BULK

    def due(self, cost: float) -> float:
        """When work that will take `cost` device-seconds, and is to begin now, should have ended.

        A job of many pieces is due as if it had 1/RATIO of the device since its arrival; one that had
        more of it waits for others, yet not longer than PATIENCE for each piece.
        """
        share = self._arrived + RATIO * (self.spent + cost)
        due = min(share, self._clock() + PATIENCE + RATIO * cost)
        if self.bulk:
            return due + BULK
        if self._terms.within is not None and not self._answered:
            return min(due, self._arrived + self._terms.within)
        return due

    def delivered(self, seconds: float = 0.0) -> None:
        """An answer, or `seconds` of audio, are on their way."""
        self._answered = True

    def begin(self) -> None:
        """A piece of its work begins; called in the thread that computes it."""
        if (announce := self._announce) is not None:
            self._announce = None
            announce()

    def charge(self, seconds: float) -> None:
        """`seconds` of a device have been spent on it."""
        self.spent += seconds

    def spent_since(self) -> float:
        """Device-seconds since this was last asked."""
        since, self._told = self.spent - self._told, self.spent
        return since


@dataclass
class Underruns:
    """How often listeners ran out of audio while more was being computed."""

    predicted: int = 0
    """chunks of which it was clear before the work began that they would be late"""
    real: int = 0


class Playback(Claim):
    """Of a request whose audio is listened to as it comes."""

    def __init__(
        self,
        terms: Terms | None = None,
        clock: Clock = time.monotonic,
        underruns: Underruns | None = None,
    ) -> None:
        super().__init__(terms, clock)
        self._grace = FIRST_AUDIO if self._terms.within is None else self._terms.within
        self._due = self._arrived + self._grace
        self._computing = False
        self._foretold = self._missed = False
        self._underruns = underruns if underruns is not None else Underruns()

    def due(self, cost: float) -> float:
        """When the next chunk is due, of which this is a part.

        One that has been missed already gets a new time, as a first one does: the listener hears silence
        now, and to hear it a little longer is better than that others hear it too.
        """
        if self.bulk:
            return super().due(cost)
        now = self._clock()
        if now > self._due:
            self._miss(real=self._computing)  # else its text came late: nobody was computing
            self._due = now + self._grace
        elif now + cost > self._due and self._answered and not self._foretold:
            self._foretold = True
            self._underruns.predicted += 1
        self._computing = True
        return self._due

    def delivered(self, seconds: float = 0.0) -> None:
        """Playback begins with the first audio, and again with what comes after an underrun."""
        now = self._clock()
        if not seconds:
            return
        if now > self._due:
            self._miss(real=True)
        if not self._answered or self._missed or now > self._due:
            self._due = now
        self._due += seconds
        self._answered = True
        self._computing = self._foretold = self._missed = False

    def _miss(self, *, real: bool) -> None:
        """The listener has run out of audio. A first chunk that is late is none: nothing played yet."""
        if real and self._answered and not self._missed:
            self._underruns.real += 1
        self._missed = True


_CLAIM: ContextVar[Claim | None] = ContextVar("claim", default=None)


def current() -> Claim | None:
    """The claim of the request that this task computes for."""
    return _CLAIM.get()


def set_current(claim: Claim) -> None:
    """What this task computes from now on is under `claim`."""
    _CLAIM.set(claim)


async def under(claim: Claim, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items, computed under `claim`, whichever task asks for each of them."""
    async with aclosing(items):
        while True:
            token = _CLAIM.set(claim)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            finally:
                _CLAIM.reset(token)
            yield item
