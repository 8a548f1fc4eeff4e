"""A load while it runs: when it has shown enough, and when it shows that more of it is not worth the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from sonorant.bench.asking import Ask, RefusedError, Reply
from sonorant.bench.loads import Bounds

FEWEST = 16
"""requests of a load whose number is not known, where there is time for them: of fewer there is no
percentile to speak of"""
TOLD_BY = 4
"""answers, after which a configuration can be given up"""
AT_ONCE = 0.01
"""seconds after which a client that was refused sees that the load is over"""


@dataclass
class Pace:
    """What a load has shown until now. Clients ask through it."""

    asked: Ask
    clients: int
    usual: float = 0.0
    """seconds after which it has shown enough, where it has FEWEST requests; 0 = only its bounds end it"""
    hopeless: float = 0.0
    """throughput, seconds of audio a second, with less of which it is given up"""
    admitting: bool = False
    """whether it is over as soon as somebody is refused, for all that are waiting, too"""
    given_up: bool = False
    refused: bool = False
    answered: int = 0
    audio: float = 0.0
    """seconds, of all answers"""
    began: float = field(default_factory=perf_counter)
    _asking: set[asyncio.Task[Any]] = field(default_factory=set)

    async def ask(self, number: int, due: float) -> Reply:
        """`Ask`."""
        asking = asyncio.current_task()
        assert asking is not None
        self._asking.add(asking)
        try:
            reply = await self.asked(number, due)
        except RefusedError as error:
            self.refused = True
            if not self.admitting:
                raise
            for other in self._asking - {asking}:  # what they wait for says nothing any more
                other.cancel()
            raise RefusedError(AT_ONCE) from error
        except asyncio.CancelledError:
            if self.admitting and self.refused:
                raise RefusedError(AT_ONCE) from None
            raise
        finally:
            self._asking.discard(asking)
        self.answered += 1
        self.audio += reply.audio
        return reply

    def begin(self) -> None:
        """What came before was to warm it up."""
        self.refused, self.answered, self.audio, self.began = False, 0, 0.0, perf_counter()

    def over(self, begun: int) -> bool:
        """Whether no more is to be asked, after so many requests."""
        spent = perf_counter() - self.began
        if self.usual and spent >= self.usual and begun >= FEWEST:
            return True
        if self.admitting and self.refused:
            return True
        if self.answered >= TOLD_BY:
            # as if all that is being computed were there now
            at_most = (self.answered + self.clients) * self.audio / self.answered
            self.given_up = self.given_up or at_most < self.hopeless * spent
        return self.given_up


@dataclass(frozen=True)
class Paced(Bounds):
    """Bounds of a load that may end before them."""

    pace: Pace = field(kw_only=True)

    def numbers(self) -> Callable[[], int | None]:
        following = super().numbers()
        self.pace.begin()
        begun = 0

        def paced() -> int | None:
            nonlocal begun
            number = None if self.pace.over(begun) else following()
            begun += number is not None
            return number

        return paced
