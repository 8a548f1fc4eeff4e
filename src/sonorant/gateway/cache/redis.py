"""Entries in a Redis server, shared by gateways. It evicts by itself (`maxmemory-policy allkeys-lru`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from sonorant.errors import MissingExtraError, SettingsError
from sonorant.settings import CacheSettings

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.exceptions import RedisError
except ImportError as error:
    raise MissingExtraError(
        "The cache in Redis needs the package redis", remedy='Install it: `pip install "sonorant[redis]"`'
    ) from error

log = logging.getLogger("sonorant.cache")

HERE = "redis://127.0.0.1:6379/0"
PREFIX = "sonorant:speech:"
PATIENCE_SECONDS = 0.1
"""for an answer, connecting included"""
OPEN_SECONDS = 2.0
"""for which a server that failed is left alone, so that requests do not wait for it one after the other"""
PURGE_SECONDS, CLOSING_SECONDS = 10.0, 2.0
CONNECTIONS = 16

T = TypeVar("T")


class RedisStore:
    """Fails fast, and for a while at once, when the server does not answer."""

    def __init__(self, url: str, seconds: float) -> None:
        """`seconds`: how long an entry lives. Raises SettingsError."""
        try:
            pool = BlockingConnectionPool.from_url(
                url or HERE,
                max_connections=CONNECTIONS,
                timeout=PATIENCE_SECONDS,
                socket_timeout=PATIENCE_SECONDS,
                socket_connect_timeout=PATIENCE_SECONDS,
                retry=None,
            )
        except ValueError as error:
            raise SettingsError(
                "The address in cache.redis cannot be read",
                why=str(error),
                remedy="Write it like redis://127.0.0.1:6379/0",
            ) from error
        self._redis = Redis(connection_pool=pool)
        self._milliseconds = round(seconds * 1000)
        self._closed_until = 0.0

    def take(self, settings: CacheSettings) -> None:
        self._milliseconds = round(settings.seconds * 1000)

    async def get(self, name: str) -> bytes | None:
        found = await self._try(lambda: self._redis.get(PREFIX + name))
        return found if isinstance(found, bytes) else None

    async def put(self, name: str, entry: bytes) -> None:
        await self._try(lambda: self._redis.set(PREFIX + name, entry, px=self._milliseconds))

    async def drop(self, name: str) -> None:
        await self._try(lambda: self._redis.unlink(PREFIX + name))

    async def purge(self, tag: str) -> None:
        async def purged() -> None:
            async for name in self._redis.scan_iter(f"{PREFIX}*.{tag}*", count=1000):
                await self._redis.unlink(name)

        await self._try(purged, PURGE_SECONDS)

    async def spare(self, on: bool) -> None:
        pass  # it holds nothing here

    async def close(self) -> None:
        self._closed_until = 0.0
        await self._try(self._redis.connection_pool.aclose, CLOSING_SECONDS)

    async def _try(self, ask: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T | None:
        if monotonic() < self._closed_until:
            return None
        try:
            async with asyncio.timeout(seconds):
                return await ask()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._closed_until = monotonic() + OPEN_SECONDS
            log.warning("the cache in Redis does not answer and is left alone: %s", error or "too slow")
            return None
