"""Where entries are kept. A store may lose anything at any time, and never fails a request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from sonorant.settings import CacheSettings


class Store(Protocol):
    """Entries by name. Names are letters, digits and dots; a voice's tag stands between dots in them."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, entry: bytes) -> None: ...

    async def drop(self, name: str) -> None:
        """Forget one entry."""
        ...

    async def purge(self, tag: str) -> None:
        """Forget all entries of a voice."""
        ...

    def take(self, settings: CacheSettings) -> None:
        """Other bounds, from now on."""
        ...

    async def spare(self, on: bool) -> None:
        """Hold nothing in this process' memory from now on, or as much as before again."""
        ...

    async def close(self) -> None: ...


class Sizes:
    """What a store holds, the longest unused first, up to `limit` bytes."""

    def __init__(self, limit: int, changed: Callable[[int, int], None]) -> None:
        """`changed` is told the bytes held, and how many entries had to go."""
        self.limit, self.total = limit, 0
        self._changed = changed
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def used(self, name: str) -> None:
        if name in self._sizes:
            self._sizes.move_to_end(name)

    def added(self, name: str, size: int) -> list[str]:
        """The names of those that have to go for it."""
        self.removed(name)
        self._sizes[name] = size
        self.total += size
        return self.bounded()

    def bounded(self) -> list[str]:
        """The names of those that have to go for what is held to be within the limit."""
        gone = []
        while self.total > self.limit:
            old, freed = self._sizes.popitem(last=False)
            self.total -= freed
            gone.append(old)
        self._changed(self.total, len(gone))
        return gone

    def removed(self, name: str) -> None:
        self.total -= self._sizes.pop(name, 0)
        self._changed(self.total, 0)

    def of(self, tag: str) -> list[str]:
        """The names of a voice's entries."""
        return [name for name in self._sizes if tag in name.split(".")[1:]]


class MemoryStore:
    """In this process."""

    def __init__(self, limit: int, changed: Callable[[int, int], None]) -> None:
        self._sizes = Sizes(limit, changed)
        self._entries: dict[str, bytes] = {}
        self._sparing = False

    async def get(self, name: str) -> bytes | None:
        self._sizes.used(name)
        return self._entries.get(name)

    async def put(self, name: str, entry: bytes) -> None:
        if self._sparing:
            return
        self._entries[name] = entry
        for old in self._sizes.added(name, len(entry)):
            del self._entries[old]

    async def drop(self, name: str) -> None:
        self._sizes.removed(name)
        self._entries.pop(name, None)

    async def purge(self, tag: str) -> None:
        for name in self._sizes.of(tag):
            await self.drop(name)

    def take(self, settings: CacheSettings) -> None:
        self._sizes.limit = settings.bytes
        for old in self._sizes.bounded():
            del self._entries[old]

    async def spare(self, on: bool) -> None:
        self._sparing = on
        for name in list(self._entries) if on else ():
            await self.drop(name)

    async def close(self) -> None:
        self._entries.clear()


def opened(settings: CacheSettings, changed: Callable[[int, int], None]) -> Store | None:
    """The store that is configured; None = nothing is kept. Raises MissingExtraError."""
    match settings.where:
        case "memory":
            return MemoryStore(settings.bytes, changed)
        case "disk":
            from sonorant.gateway.cache.disk import DiskStore

            return DiskStore(settings.folder.expanduser(), settings.bytes, changed)
        case "redis":
            from sonorant.gateway.cache.redis import RedisStore

            return RedisStore(settings.redis.get_secret_value(), settings.seconds)
        case "off":
            return None
