"""The loads: clients that ask again when they are answered, and requests that come by chance."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter, thread_time

from sonorant.bench.asking import Ask, FailedError, RefusedError, Reply
from sonorant.bench.http import BrokenOffError
from sonorant.bench.sound import NotAudioError
from sonorant.errors import SonorantError

AFTER_REFUSAL_SECONDS = 1.0
"""a client that was refused and not told when to come again waits this long"""
AFTER_FAILURE_SECONDS = 0.1
"""so that a server that is down is not asked ten thousand times"""
CLEANING_SECONDS = 5.0
"""how long a request that hung may take to be cancelled before it is left behind"""
MOST_AT_ONCE = 512
"""open requests of an open loop; most systems let a process have 1,024 files"""


class Kind(StrEnum):
    """How a request ended."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    kind: Kind
    seconds: float
    """from when it was due until its end"""
    reply: Reply | None = None
    retry_after: float | None = None
    """of a refused one, seconds"""
    reason: str = ""
    """of a failed one"""


@dataclass(frozen=True)
class Bounds:
    """What ends a load. At least one of `seconds` and `requests` is given."""

    seconds: float | None = None
    """no request begins later than this"""
    requests: int | None = None
    """nor after as many"""
    hang_seconds: float = 60.0
    """a request that has not ended by then has hung, and is given up"""

    def numbers(self) -> Callable[[], int | None]:
        """Numbers of requests, one a call; None = that was all."""
        numbers = itertools.count() if self.requests is None else iter(range(self.requests))
        end = None if self.seconds is None else perf_counter() + self.seconds

        def following() -> int | None:
            return next(numbers, None) if end is None or perf_counter() < end else None

        return following


@dataclass
class Ran:
    """A load that has run."""

    outcomes: list[Outcome] = field(default_factory=list)
    wall: float = 0.0
    """seconds from its beginning until the last request had ended"""
    cpu: float = 0.0
    """seconds of CPU that the generator itself took"""
    late: list[float] = field(default_factory=list)
    """of an open loop: by how many seconds requests were sent later than they were due"""


async def closed(ask: Ask, clients: int, bounds: Bounds) -> Ran:
    """`clients` that each send the next request when the last was answered.

    One that was refused waits as long as Retry-After says, as clients of OpenAI's do.
    """
    ran = Ran()
    began, cpu = perf_counter(), thread_time()
    following = bounds.numbers()

    async def client() -> None:
        while (number := following()) is not None:
            outcome = await _one(ask, number, perf_counter(), bounds.hang_seconds)
            ran.outcomes.append(outcome)
            if outcome.kind is Kind.REFUSED:
                left = (
                    bounds.hang_seconds if bounds.seconds is None else began + bounds.seconds - perf_counter()
                )
                await asyncio.sleep(min(outcome.retry_after or AFTER_REFUSAL_SECONDS, max(0.0, left)))
            elif outcome.kind is Kind.FAILED:
                await asyncio.sleep(AFTER_FAILURE_SECONDS)

    await asyncio.gather(*(client() for _ in range(clients)))
    ran.wall, ran.cpu = perf_counter() - began, thread_time() - cpu
    return ran


async def open_loop(ask: Ask, rate: float, bounds: Bounds, seed: int = 0) -> Ran:
    """Requests that come by chance (Poisson), `rate` a second on average, whether others are answered or not.

    Their times count from when they were due, so that a generator that falls behind hides nothing.
    """
    ran = Ran()
    gaps = random.Random(seed)  # noqa: S311
    began, cpu = perf_counter(), thread_time()
    due = began
    sent: list[asyncio.Task[Outcome]] = []
    open_now: set[asyncio.Task[Outcome]] = set()
    for number in range(bounds.requests) if bounds.requests is not None else itertools.count():
        due += gaps.expovariate(rate)
        if bounds.seconds is not None and due > began + bounds.seconds:
            break
        await asyncio.sleep(max(0.0, due - perf_counter()))
        ran.late.append(perf_counter() - due)
        if len(open_now) < MOST_AT_ONCE:
            task = asyncio.create_task(_one(ask, number, due, bounds.hang_seconds))
            sent.append(task)
            open_now.add(task)
            task.add_done_callback(open_now.discard)
        else:
            ran.outcomes.append(
                Outcome(Kind.FAILED, 0.0, reason=f"not sent: {MOST_AT_ONCE} requests were open already")
            )
    ran.outcomes += await asyncio.gather(*sent)
    ran.wall, ran.cpu = perf_counter() - began, thread_time() - cpu
    return ran


async def _one(ask: Ask, number: int, due: float, hang_seconds: float) -> Outcome:
    """Ends at most CLEANING_SECONDS after `hang_seconds`, whatever becomes of the request."""
    asking = asyncio.ensure_future(ask(number, due))
    try:
        await asyncio.wait([asking], timeout=due + hang_seconds - perf_counter())
        seconds = perf_counter() - due
        if not asking.done():
            return Outcome(Kind.HUNG, seconds)
        return Outcome(Kind.OK, seconds, reply=asking.result())
    except RefusedError as error:
        return Outcome(Kind.REFUSED, seconds, retry_after=error.retry_after)
    except (FailedError, BrokenOffError, NotAudioError) as error:
        return Outcome(Kind.FAILED, seconds, reason=str(error))
    except SonorantError as error:
        return Outcome(Kind.FAILED, seconds, reason=error.code)
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.wait([asking], timeout=CLEANING_SECONDS)
            if asking.done() and not asking.cancelled():
                asking.exception()  # it has hung, whatever it still had to say
