"""As much of an HTTP/1.1 client as a load generator needs, because it must cost little itself.

At 16 clients, 37 requests/s of 20 chunks each, httpx took 14% of a core, h11 4% and this 3%
(benchmarks/generator.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECT_SECONDS = 5.0
READ_BYTES = 1 << 16


class BrokenOffError(Exception):
    """The connection could not be made, ended too early, or spoke no HTTP."""


@dataclass(frozen=True)
class Answer:
    """Status and headers (names in lower case) of a response, and its body as it comes."""

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes, None]

    async def whole(self) -> bytes:
        """All of the body."""
        return b"".join([data async for data in self.body])


class Server:
    """Requests to one address. Connections are kept and used again, as many as there are requests at once."""

    def __init__(self, url: str, key: str = "") -> None:
        """`url` as https://host:port/path, with or without /v1. Raises ValueError for what is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(url)
        self.host, self.tls = parts.hostname, parts.scheme == "https"
        self.port = parts.port or (443 if self.tls else 80)
        self._path = parts.path.rstrip("/").removesuffix("/v1")
        self._head = f"Host: {parts.netloc.rpartition('@')[2]}\r\nAccept: */*\r\n"
        self._head += f"Authorization: Bearer {key}\r\n" if key else ""
        self._idle: list[_Connection] = []

    @asynccontextmanager
    async def post(self, path: str, content: bytes, kind: str) -> AsyncIterator[Answer]:
        """Send a body of the content type `kind`; the answer is to be read inside. Raises BrokenOffError."""
        head = f"POST {self._path}{path} HTTP/1.1\r\n{self._head}"
        head += "Cache-Control: no-cache, no-store\r\n"  # what was kept would cost nothing to serve again
        head += f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        request = head.encode("latin-1") + content
        connection, answer = await self._sent(request)
        try:
            yield answer
        finally:
            await answer.body.aclose()
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()

    async def _sent(self, request: bytes) -> tuple[_Connection, Answer]:
        # One that the server has closed meanwhile, as it may, is left. A request that got no answer is never
        # sent again: that would hide a server that died over it.
        while self._idle and self._idle[-1].ended:
            self._idle.pop().close()
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            return connection, await connection.send(request)
        except BaseException:
            connection.close()
            raise

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                streams = await asyncio.open_connection(self.host, self.port, ssl=self.tls or None)
        except TimeoutError as error:
            raise BrokenOffError(f"no connection within {CONNECT_SECONDS:g} s") from error
        except ConnectionRefusedError as error:  # whose own text is only the address
            raise BrokenOffError("the connection was refused") from error
        except OSError as error:
            raise BrokenOffError(error.strerror or str(error)) from error
        return _Connection(*streams)

    def close(self) -> None:
        """Close the connections that no request uses."""
        while self._idle:
            self._idle.pop().close()


class _Connection:
    """A connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.reusable = False
        """whether the last answer has been read to its end and another request may follow"""

    @property
    def ended(self) -> bool:
        """Whether the server has closed it."""
        return self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        self._writer.transport.abort()

    async def send(self, request: bytes) -> Answer:
        """Raises BrokenOffError."""
        self.reusable = False
        try:
            self._writer.write(request)
            await self._writer.drain()
            while True:
                version, status, headers = _head(await self._reader.readuntil(b"\r\n\r\n"))
                if status >= 200:  # what comes before is a notice: 100, 103
                    headers.setdefault("connection", "close" if version == "HTTP/1.0" else "keep-alive")
                    return Answer(status, headers, self._body(headers))
        except asyncio.IncompleteReadError as error:
            where = "within the head of the answer" if error.partial else "without an answer"
            raise BrokenOffError(f"the connection ended {where}") from error
        except asyncio.LimitOverrunError as error:
            raise BrokenOffError("the head of the answer has no end") from error
        except ConnectionError as error:
            raise BrokenOffError("the connection ended without an answer") from error

    async def _body(self, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        try:
            if headers.get("transfer-encoding", "").lower() == "chunked":
                while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                    async for data in self._take(size):
                        yield data
                    await self._reader.readexactly(2)
                while await self._reader.readuntil(b"\r\n") != b"\r\n":
                    pass  # trailers
            elif "content-length" in headers:
                async for data in self._take(int(headers["content-length"])):
                    yield data
            else:
                while data := await self._reader.read(READ_BYTES):
                    yield data
                return
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise BrokenOffError("the connection ended within the answer") from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise BrokenOffError("the answer's chunks make no sense") from error
        self.reusable = headers["connection"].lower() != "close"

    async def _take(self, size: int) -> AsyncIterator[bytes]:
        """`size` bytes, in pieces as they come."""
        while size:
            data = await self._reader.read(min(size, READ_BYTES))
            if not data:
                raise asyncio.IncompleteReadError(data, size)
            size -= len(data)
            yield data


def _head(data: bytes) -> tuple[str, int, dict[str, str]]:
    """Version, status, headers."""
    first, *lines = data.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise BrokenOffError(f"the answer is not HTTP/1.1: {first[:60]!r}")
    headers = (line.partition(":") for line in lines)
    return words[0], int(words[1]), {name.strip().lower(): value.strip() for name, _, value in headers}
