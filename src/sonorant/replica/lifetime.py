"""A model's time in this process: fetched, loaded, tried, at work, at rest, freed."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from typing import TYPE_CHECKING

from sonorant.catalogue.part import Abandonable
from sonorant.errors import ModelError, NotReadyError, SonorantError
from sonorant.observe.figures import Figures
from sonorant.replica.claims import Claim, set_current
from sonorant.replica.host import ReplicaHost
from sonorant.replica.loading import Loaded, Loading
from sonorant.replica.memory import give_back
from sonorant.replica.trial import RequestCost, tried
from sonorant.tasks import Cost, State, Terms, Tier

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress

logger = logging.getLogger(__name__)


class Lifetime:
    """`start` loads and warms up; a failure is kept and told, not raised."""

    def __init__(self, loading: Loading, figures: Figures, known: Cost | None) -> None:
        """`known`: what requests cost, where that was measured before: the warm-up is then short."""
        self._loading, self._figures, self._known = loading, figures, known
        self._name, self._clock = loading.card.name, loading.device.clock
        self._loaded: Loaded | None = None
        self._learning: asyncio.Task[None] | None = None
        self.state = State.LOADING
        self.failure: SonorantError = NotReadyError(
            f"The model {self._name} is still loading", remedy="Try again in a few seconds"
        )
        """why requests are refused while the model is not ready"""
        self.cost = RequestCost(known)

    @property
    def ready(self) -> bool:
        return self.state is State.READY

    @property
    def loaded(self) -> Loaded:
        """Raises `failure` while requests are refused."""
        if self._loaded is None or not self.ready:
            raise self.failure
        return self._loaded

    async def start(self, progress: Progress | None = None) -> None:
        """Fetch what is missing, check it, load it and run it once. Sets `state`."""
        began = time.perf_counter()
        pull = Abandonable(progress)
        try:
            folder = await asyncio.to_thread(self._loading.fetch, pull)
            fetched = time.perf_counter()
            self._loaded = await asyncio.to_thread(self._loading.load, folder, self._figures)
            await self._warm_up(self._loaded)
            await asyncio.to_thread(give_back)
        except asyncio.CancelledError:
            pull.abandon()
            raise
        except SonorantError as error:
            self._fail(error)
        except Exception as error:  # whatever a model makes a library do must not end the others
            logger.exception("model %s failed to load", self._name)
            self._fail(
                ModelError(
                    f"Loading {self._name} failed unexpectedly",
                    why=f"{type(error).__name__}: {error}",
                    remedy=f"Look at the log, and pull it again: `sonorant pull {self._name} --force`",
                )
            )
        else:
            self.state = State.READY
            self._figures.set("fetch_seconds", fetched - began)
            self._figures.set("load_seconds", time.perf_counter() - fetched)
            logger.info("model %s is ready after %.1f s", self._name, time.perf_counter() - began)
            if self._known is not None:
                self._learning = asyncio.create_task(self._learn(self._loaded.host))

    async def _warm_up(self, loaded: Loaded) -> None:
        if self._known is None:
            await loaded.host.warm_up()
            self.cost = await self._tried(loaded)
        else:
            await self._tried(loaded, briefly=True)

    async def _learn(self, host: ReplicaHost) -> None:
        """What a process that replaced another had no time for: what runs cost, and which may be batched."""
        set_current(Claim(Terms(tier=Tier.BULK), self._clock))
        try:
            await host.warm_up()
        except SonorantError as error:
            logger.warning("%s: what its runs cost was not measured: %s", self._name, error)

    async def probe(self, seconds: float) -> None:
        """Run every network and one request through the pipeline. Raises what goes wrong."""
        loaded = self.loaded
        async with asyncio.timeout(seconds):
            await loaded.host.run_all()
            await self._tried(loaded, briefly=True)

    async def relax(self) -> None:
        """Give back what the last requests needed and the next may not."""
        await asyncio.to_thread(gc.collect)  # what lies in cycles would keep parts of arenas
        if self._loaded is not None:
            await self._loaded.host.shrink()
        await asyncio.to_thread(give_back)

    def stop(self) -> None:
        """Free the engines; no request may be running."""
        if self._learning is not None:
            self._learning.cancel()
        if self.ready:
            self.state = State.STOPPED
        if self._loaded is not None:
            self._loaded.host.close()

    async def _tried(self, loaded: Loaded, *, briefly: bool = False) -> RequestCost:
        return await tried(loaded.pipeline, self._loading.card, self._clock, briefly=briefly)

    def _fail(self, error: SonorantError) -> None:
        self.state, self.failure = State.FAILED, error
        # its owner tells it: the gateway that of a process, the library's `Model` by raising it
        logger.debug("model %s cannot be served: %s", self._name, error)
