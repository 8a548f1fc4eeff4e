"""Messages over a stream socket: four bytes of length, little endian, and MessagePack."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Generic, TypeVar

import msgspec

Received = TypeVar("Received")

LARGEST = 64 * 2**20
"""bytes of a message; uploads over a megabyte travel as files"""
BUFFERED = 2**18
"""bytes that may wait in this process before `send` does"""
_LENGTH = struct.Struct("<I")


class ChannelBroken(ConnectionError):
    """The other side has gone, or does not speak as it should."""


class Channel(Generic[Received]):
    """One end of the connection. Each message is whole or not there."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: type[Received] | Any
    ) -> None:
        self._reader, self._writer = reader, writer
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(received)
        writer.transport.set_write_buffer_limits(BUFFERED)

    @classmethod
    async def over(cls, link: socket.socket, received: type[Received] | Any) -> Channel[Received]:
        """On a connected socket, which it takes over. `received`: a type, or union, of messages."""
        link.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=link, limit=BUFFERED)
        return cls(reader, writer, received)

    def post(self, message: msgspec.Struct) -> None:
        """Send a small message without waiting; what is sent to one that has gone is dropped."""
        if not self._writer.is_closing():
            body = self._encoder.encode(message)
            self._writer.writelines((_LENGTH.pack(len(body)), body))

    async def send(self, message: msgspec.Struct) -> None:
        """Send, and wait while the other side reads too slowly. Raises ChannelBroken."""
        self.post(message)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise ChannelBroken(str(error)) from error

    async def receive(self) -> Received:
        """The next message. Raises ChannelBroken at the end of the connection."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > LARGEST:
                raise ChannelBroken(f"a message of {length:,} bytes")
            return self._decoder.decode(await self._reader.readexactly(length))  # type: ignore[no-any-return]
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError) as error:
            raise ChannelBroken(str(error)) from error

    def close(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()
