"""Keeps a process of a model alive: started, replaced when it dies or hangs, renewed when it should be."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain, count

from sonorant.errors import EngineError, FailedModelError, NotReadyError, SonorantError
from sonorant.gateway.life import WATCH_SECONDS, Life, Spawn
from sonorant.gateway.link import Link
from sonorant.observe.figures import Figures, Ledger
from sonorant.settings import ReplicaSettings
from sonorant.tasks import Described, Snapshot, State
from sonorant.wire.messages import Tune

logger = logging.getLogger(__name__)

BACK_OFF = (0.0, 0.0, 0.25, 1.0, 5.0, 15.0)
"""seconds before a start after no, one, two … deaths in a row; the last holds for all further ones"""
RETIRING_SECONDS = 600.0
"""for what an old process still answers, once a new one has taken its place"""

_numbers = count(1)
"""a model that is served again is kept by another, whose counts begin anew"""


class Keeper:
    """`run` does the keeping; the rest is what others see of it."""

    def __init__(
        self,
        described: Described,
        spawn: Spawn,
        settings: ReplicaSettings,
        *,
        need: int = 0,
        preload: bool = True,
    ) -> None:
        """described: what is known of the model before it has loaded; need: of memory, an estimate in bytes;
        preload: load it at once, and not when it is first asked for.
        """
        self.described = described
        self.state, self.reason = (State.LOADING if preload else State.UNLOADED), ""
        self.need = need
        """bytes that its process has taken at most, once it was measured"""
        self.used = time.monotonic()
        """when it was last asked for"""
        self.make_room: Callable[[Keeper], Awaitable[None]] | None = None
        """called before a process starts that did not run before; raises where there is no memory"""
        self.restarts = 0
        self._tuned: Tune | None = None
        self.refused = ""
        """why the last renewal was rejected"""
        self._spawn, self._settings = spawn, settings
        self._life: Life | None = None
        self._lives: list[Life] = []
        """that have not ended: the one that works and those that retire"""
        self._figures, self._ledger, self._number = Figures(), Ledger(), next(_numbers)
        self._changed = asyncio.Event()
        """set when a life begins or the model is given up"""
        self._renewal, self._renewing = asyncio.Event(), False
        self._wanted = asyncio.Event()
        """cleared while the model is unloaded on purpose"""
        if preload:
            self._wanted.set()
        self.admitted = False
        """there is room for it in memory, and it takes it or soon will"""
        self._measured = False
        self._no_room: SonorantError | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self.described.name

    @property
    def pid(self) -> int | None:
        """of the process that works"""
        return self._life.process.pid if self._life else None

    @property
    def alive(self) -> bool:
        """Whether a process works now; one that has died is noticed here before it is replaced."""
        return self._life is not None and self._life.death is None

    @property
    def link(self) -> Link | None:
        """to the process that works"""
        return self._life.link if self._life else None

    def renew(self) -> None:
        """Put a new process in the place of the one that works, or of one that failed, once it is ready."""
        self._renewal.set()

    @property
    def renewing(self) -> bool:
        """Whether a new process is still to take the place of one that works."""
        return self.state is State.READY and (self._renewing or self._renewal.is_set())

    def take(self, settings: ReplicaSettings) -> None:
        """What counts from now on."""
        self._settings = settings
        for life in self._lives:
            life.settings = settings

    @property
    def memory(self) -> int:
        """Bytes that its process holds, or is expected to hold once it has loaded; 0 while it is unloaded."""
        reserved = self.admitted and self.state is not State.FAILED
        return (self._life and self._life.link.load.memory) or (self.need if reserved else 0)

    def figures(self) -> tuple[Snapshot, ...]:
        """What all its processes have measured, the dead ones included."""
        living = [life.link.figures for life in self._lives]
        self._ledger.take([self._figures.snapshot(), *chain.from_iterable(living)])
        return (Snapshot(f"model {self.name}, {self._number}", self._ledger.total()),)

    def measure(self) -> None:
        """Take what its process holds for what it needs: the most that was seen, no longer the estimate."""
        if self._life and (held := self._life.link.load.memory):
            self.need, self._measured = (max(held, self.need) if self._measured else held), True

    async def unload(self) -> int:
        """End the process of a model that answers nobody now, until it is asked for → bytes set free."""
        life = self._life
        if life is None or self.state is not State.READY or life.link.calls or self._renewing:
            return 0
        self.measure()
        freed = self.memory
        self._wanted.clear()
        self._life, self.state, self.admitted = None, State.UNLOADED, False
        await life.end()
        logger.info("model %s is unloaded: %d MB are free again", self.name, freed // 2**20)
        return freed

    def tune(self, tune: Tune) -> None:
        """How its lanes work: those of the process that works, and of all after it."""
        self._tuned = tune
        if self._life is not None:
            self._life.link.post(tune)

    def condemn(self, why: SonorantError) -> None:
        """The process that works must be replaced, although it lives."""
        if self._life is not None and self.state is State.READY:
            self._life.condemn(why)
            self._lost(why)

    def fail(self, error: SonorantError) -> None:
        """Give the model up until it is renewed."""
        self.state, self.reason = State.FAILED, str(error)
        self._changed.set()
        logger.error("model %s cannot be served: %s", self.name, error)

    async def living(self, until: float) -> Link:
        """The link to a process that is ready. Raises NotReadyError at `until`, or FailedModelError."""
        self.used, self._no_room = time.monotonic(), None
        self._wanted.set()
        while True:
            if self._no_room is not None:
                raise self._no_room
            if self.state is State.FAILED:
                raise FailedModelError(f"{self.name} cannot be used", why=self.reason)
            if self.state is State.STOPPED:
                raise NotReadyError(f"{self.name} has been stopped", remedy="The server is shutting down")
            if self.alive and self._life is not None:
                return self._life.link
            self._changed.clear()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                raise NotReadyError(
                    f"{self.name} is being started again",
                    why=self.reason,
                    remedy="Try again in a few seconds",
                ) from None

    async def asked_anew(self) -> None:
        """Until somebody wants the model to be tried again although it was given up."""
        await self._renewal.wait()
        self._renewal.clear()
        self.state, self.reason = State.LOADING, ""

    async def run(self) -> None:
        """Until cancelled; then the processes end."""
        deaths = 0
        try:
            while True:
                if not self._wanted.is_set() or not deaths:
                    await self._until_there_is_room()
                await asyncio.sleep(BACK_OFF[min(deaths, len(BACK_OFF) - 1)])
                error, served = await self._watched()
                if self.state is State.UNLOADED:
                    deaths = 0
                    continue
                deaths = 1 if served else deaths + 1
                self.restarts += 1
                self._figures.count("restarts")
                logger.error("model %s is started again: %s", self.name, error)
                if deaths >= self._settings.deaths:
                    await self._rest(error, deaths)
                    deaths = 0
        finally:
            if self.state is not State.FAILED:
                self.state = State.STOPPED
            self._changed.set()
            lives = [life.end() for life in self._lives]
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*lives, *self._retiring, return_exceptions=True)

    async def _until_there_is_room(self) -> None:
        """Until somebody asks for the model and there is memory for it."""
        while True:
            await self._wanted.wait()
            try:
                if self.make_room is not None:
                    await self.make_room(self)
            except SonorantError as error:
                self._wanted.clear()
                self.state, self._no_room = State.UNLOADED, error
                self._changed.set()
                logger.warning("%s", error)
            else:
                self.state, self.admitted = State.LOADING, True
                return

    async def _watched(self) -> tuple[SonorantError, bool]:
        """As `_once`; what nobody expected counts as a death, for otherwise nothing would start it again."""
        try:
            return await self._once()
        except Exception as error:
            logger.exception("model %s cannot be kept", self.name)
            unexpected = EngineError(
                f"The process of {self.name} could not be kept", why=f"{type(error).__name__}: {error}"
            )
            if self._life is not None:
                self._forget(self._life)
                await self._life.end()
            self._lost(unexpected)
            return unexpected, False

    async def _once(self) -> tuple[SonorantError, bool]:
        """One life, and those that take its place → why the last ended, and whether it had served."""
        while True:
            self._renewal.clear()
            try:
                life = await self._begin()
            except SonorantError as error:
                self._lost(error)
                return error, False
            if life.settled is None or life.settled.fault is None:
                break
            await life.end()
            self.fail(life.settled.fault.error())
            await self._renewal.wait()  # what the model itself is to blame for does not mend itself
            self.state, self.reason = State.LOADING, ""
        if life.settled is not None:
            self._adopt(life)
        while not await life.over(WATCH_SECONDS):
            if self._renewal.is_set():
                life = await self._renewed(life)
        assert life.death is not None
        self._forget(life)
        if self.state is not State.UNLOADED:
            self._lost(life.death)
        return life.death, life.link.served

    async def _begin(self) -> Life:
        return await Life.begin(self.name, self._spawn, self._settings, self.described.cost)

    def _adopt(self, life: Life) -> None:
        assert life.settled is not None
        self.described = life.settled.described
        self._lives.append(life)
        self._life, self.state, self.reason = life, State.READY, ""
        if self._tuned is not None:
            life.link.post(self._tuned)
        self._changed.set()

    def _lost(self, error: SonorantError) -> None:
        self._life, self.state, self.reason = None, State.RESTARTING, str(error)

    async def _renewed(self, old: Life) -> Life:
        """A new life in the place of `old`; `old` itself where it is no good."""
        self._renewal.clear()
        self._renewing = True
        try:
            return await self._replaced(old)
        finally:
            self._renewing = False

    async def _replaced(self, old: Life) -> Life:
        try:
            new = await self._begin()
        except SonorantError as error:
            self.reject(error)
            return old
        if new.settled is None or new.settled.fault is not None:
            await new.end()
            assert new.death is not None
            self.reject(new.settled.fault.error() if new.settled and new.settled.fault else new.death)
            return old
        self._adopt(new)
        self.refused = ""
        logger.info("model %s was renewed", self.name)
        task = asyncio.create_task(self._retire(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return new

    def reject(self, error: SonorantError) -> None:
        """Say why what should take the place of the process that works cannot."""
        self.refused = str(error)
        logger.error("model %s stays as it is, for the new one cannot be served: %s", self.name, error)

    async def _rest(self, last: SonorantError, deaths: int) -> None:
        """Refuse requests for a while: a model that dies again and again only burns the machine."""
        seconds = self._settings.breaker_seconds
        self.fail(
            FailedModelError(
                f"{self.name} died {deaths} times in a row without serving a request",
                why=last.what,
                remedy=f"Look at the log; it is tried again after {seconds:g} s",
            )
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._renewal.wait()
        self._lost(last)

    async def _retire(self, life: Life) -> None:
        """Let a process finish what it answers, and end it."""
        try:
            async with asyncio.timeout(RETIRING_SECONDS):
                while life.link.calls and not await life.over(WATCH_SECONDS):
                    pass
        except TimeoutError:
            logger.warning("a process that was replaced is ended although it still answers")
        finally:
            self._forget(life)
            await life.end()

    def _forget(self, life: Life) -> None:
        """Keep what it has measured."""
        self.figures()
        if life in self._lives:
            self._lives.remove(life)
