"""A tiny server with OpenAI's paths that does what its script says, byte for byte and pause for pause."""

import asyncio
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

RATE = 16_000


def tone(seconds: float, level: float = 0.3) -> bytes:
    """16 bit samples of a tone."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 440 * t) * level * 32767).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


def wav_header(size: int = 0xFFFFFFFF, rate: int = RATE, channels: int = 1, bits: int = 16) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    riff = min(size + 36, 0xFFFFFFFF)
    return (
        b"RIFF"
        + struct.pack("<I", riff)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
    )


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def chunked(*pieces: bytes) -> list[bytes]:
    return [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]


STREAMED = head(transfer_encoding="chunked", content_type="audio/wav")
END = b"0\r\n\r\n"
HANG, BREAK = "hang", "break"


class Fake:
    """Scripts by the `input` of the request; a script holds bytes to send, seconds to wait, HANG and BREAK."""

    def __init__(self) -> None:
        self.scripts: dict[str, list] = {}
        self.otherwise: list = [STREAMED, *chunked(wav_header(), tone(0.2), tone(0.2)), END]
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        """request line, headers and body of each request"""
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def main() -> None:
            self._stop = asyncio.Event()
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._loop.run_until_complete(main())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while True:
                    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
                    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
                    body = await reader.readexactly(int(headers["content-length"]))
                    self.seen.append((first, headers, body))
                    text = json.loads(body)["input"] if "json" in headers["content-type"] else "file"
                    for step in self.scripts.get(text, self.otherwise):
                        if step == HANG:
                            await asyncio.sleep(600)
                        elif step == BREAK:
                            return
                        elif isinstance(step, bytes):
                            writer.write(step)
                            await writer.drain()
                        else:
                            await asyncio.sleep(step)
        finally:
            writer.close()

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()


@pytest.fixture
def wire() -> SimpleNamespace:
    """What scripts are made of."""
    return SimpleNamespace(
        RATE=RATE,
        tone=tone,
        silence=silence,
        wav_header=wav_header,
        head=head,
        chunked=chunked,
        STREAMED=STREAMED,
        END=END,
        HANG=HANG,
        BREAK=BREAK,
    )
