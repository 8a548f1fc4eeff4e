"""A text that can be said again from its start, although it came as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sonorant.errors import TextError


class Replayed:
    """Reads `text` once, by a task of its own, so that who listens may leave and another begin again."""

    def __init__(self, text: AsyncIterator[str], limit: int) -> None:
        """limit: characters"""
        self._text, self._limit = text, limit
        self._taken: list[str] = []
        self._over = False
        self._error: BaseException | None = None
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def pieces(self) -> AsyncIterator[str]:
        """All pieces from the first, as they come. Raises what reading raised."""
        at = 0
        while True:
            while at < len(self._taken):
                yield self._taken[at]
                at += 1
            if self._error is not None:
                raise self._error
            if self._over:
                return
            self._news.clear()
            await self._news.wait()

    async def begun(self) -> None:
        """Until the first piece is here, or it is known that there is none."""
        async for _ in self.pieces():
            return

    @property
    def so_far(self) -> str:
        """All that has come."""
        return "".join(self._taken)

    async def close(self) -> None:
        """Stop reading."""
        self._reading.cancel()
        await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            length = 0
            async for piece in self._text:
                length += len(piece)
                if length > self._limit:
                    raise TextError(
                        f"The text has more than {self._limit:,} characters",
                        remedy="Send it in parts, or let the operator raise limits.text_characters",
                        param="input",
                    )
                self._taken.append(piece)
                self._news.set()
        except Exception as error:
            self._error = error
        finally:
            self._over = True
            self._news.set()
