"""Answers that have been spoken, and those that are being spoken now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import time

from sonorant.gateway.cache import entry
from sonorant.gateway.cache.flight import AHEAD_BYTES, Flight
from sonorant.gateway.cache.key import Key, tag
from sonorant.gateway.cache.stores import Store
from sonorant.observe.metrics import CacheMetrics
from sonorant.settings import CacheSettings
from sonorant.tasks import Encoded, Terms, Tier

Work = Callable[[], AsyncGenerator[Encoded, None]]


@dataclass(slots=True)
class Caching:
    """What a request allows, and what became of it."""

    read: bool = True
    """it may be given what was spoken before"""
    write: bool = True
    """what is spoken for it may be kept"""
    outcome: str = ""
    """hit, miss, joined; "" = it had nothing to do with the cache. Known when the first event is there"""


class SpeechCache:
    """Gives an answer that is there, joins one that is under way, or has it spoken and keeps it.

    The same request means the same sound, also where a model would say it otherwise each time.
    """

    def __init__(self, store: Store | None, settings: CacheSettings, metrics: CacheMetrics) -> None:
        self._store, self._settings, self._metrics = store, settings, metrics
        self._joinable: dict[tuple[str, Tier, float | None], Flight] = {}
        self._flights: dict[Flight, Key] = {}

    async def speak(
        self, key: Key | None, terms: Terms, model: str, caching: Caching, work: Work
    ) -> AsyncGenerator[Encoded, None]:
        """The events of `work`, from wherever they can be had. Raises what `work` raises.

        Nobody joins work that is less urgent, or that another's deadline may have refused.
        """
        store = self._store
        if store is None or key is None or not (caching.read or caching.write):
            async with aclosing(work()) as events:
                async for event in events:
                    yield event
            return
        if caching.read and not self._under_way(key, terms):
            kept = await self._kept(store, key)
            if kept is not None:
                self._tell(caching, model, "hit")
                for event in kept:
                    yield event
                return
        flight = self._under_way(key, terms) if caching.read else None  # it may have begun meanwhile
        self._tell(caching, model, "miss" if flight is None else "hit" if flight.complete else "joined")
        async with aclosing((flight or self._begin(store, key, terms, caching, work)).listen()) as live:
            async for event in live:
                yield event

    def take(self, settings: CacheSettings) -> None:
        """Other bounds, from now on."""
        self._settings = settings
        if self._store is not None:
            self._store.take(settings)

    async def purge(self, model: str, voice: str) -> None:
        """Forget all that a voice has spoken, and do not keep what it is speaking now."""
        gone = tag(model, voice)
        for flight, key in self._flights.items():
            if gone in key.voices:
                flight.kept = False
        self._joinable = {at: flight for at, flight in self._joinable.items() if flight.kept}
        if self._store is not None:
            await self._store.purge(gone)

    async def spare(self) -> None:
        """Give back the memory that is kept, and keep nothing in memory until `keep`."""
        if self._store is not None:
            await self._store.spare(True)

    async def keep(self) -> None:
        """Keep answers again."""
        if self._store is not None:
            await self._store.spare(False)

    async def close(self) -> None:
        """Let go of the store. Nothing may be speaking any more."""
        if self._store is not None:
            await self._store.close()

    def _under_way(self, key: Key, terms: Terms) -> Flight | None:
        flight = self._joinable.get((str(key), terms.tier, terms.within))
        return flight if flight is not None and flight.whole else None

    async def _kept(self, store: Store, key: Key) -> list[Encoded] | None:
        data = await store.get(str(key))
        if data is None:
            return None
        events = entry.read(data, key.digest, time() - self._settings.seconds)
        if events is None:
            await store.drop(str(key))
        return events

    def _begin(self, store: Store, key: Key, terms: Terms, caching: Caching, work: Work) -> Flight:
        at = (str(key), terms.tier, terms.within)

        async def landed(events: list[Encoded] | None) -> None:
            try:
                if events is not None and flight.kept:
                    data = await asyncio.to_thread(entry.written, key.digest, time(), events)
                    if len(data) <= self._settings.entry_bytes:
                        await store.put(at[0], data)
                    if not flight.kept:  # the voice was deleted meanwhile
                        await store.drop(at[0])
            finally:
                del self._flights[flight]
                if self._joinable.get(at) is flight:
                    del self._joinable[at]

        flight = Flight(work(), max(self._settings.entry_bytes, 2 * AHEAD_BYTES), landed)
        flight.kept = caching.write
        self._flights[flight] = key
        if caching.read and caching.write:
            self._joinable[at] = flight
        return flight

    def _tell(self, caching: Caching, model: str, outcome: str) -> None:
        caching.outcome = outcome
        self._metrics.requests.labels(model, outcome).inc()
