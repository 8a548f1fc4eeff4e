"""What a load generator itself costs: three HTTP clients against a server that only sends bytes.

    python benchmarks/generator.py [--clients 16] [--seconds 8]

The server is a process of its own and answers each request with 20 chunks of 100 ms, one every 20 ms. CPU
is that of the generator's thread. It is why `sonorant bench` brings a small client of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter, thread_time

import h11
import httpx

import machine
from sonorant.bench.http import Server

PATH = "/v1/audio/speech"
BODY = json.dumps(
    {"model": "tts-1", "voice": "alloy", "input": "Good morning.", "response_format": "pcm"}
).encode()
PIECE, PIECES, GAP = bytes(4800), 20, 0.02

One = Callable[[], Awaitable[int]]
"""one request → how many pieces came"""


async def serve() -> None:
    """Print the port, then answer for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(BODY))
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for _ in range(PIECES):
                    writer.write(f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n")
                    await writer.drain()
                    await asyncio.sleep(GAP)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def by_httpx(port: int) -> One:
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=httpx.Limits(max_connections=None))

    async def one() -> int:
        async with client.stream("POST", PATH, content=BODY) as response:
            return len([None async for _ in response.aiter_raw()])

    return one


async def by_h11(port: int) -> One:
    idle: list[tuple[h11.Connection, asyncio.StreamReader, asyncio.StreamWriter]] = []
    headers = [("Host", "127.0.0.1"), ("Content-Length", str(len(BODY)))]

    async def one() -> int:
        if not idle:
            idle.append((h11.Connection(h11.CLIENT), *await asyncio.open_connection("127.0.0.1", port)))
        connection, reader, writer = idle.pop()
        request = h11.Request(method="POST", target=PATH, headers=headers)
        for event in (request, h11.Data(data=BODY), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        pieces = 0
        while not isinstance(got := connection.next_event(), h11.EndOfMessage):
            if got is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            pieces += isinstance(got, h11.Data)
        connection.start_next_cycle()
        idle.append((connection, reader, writer))
        return pieces

    return one


async def by_ours(port: int) -> One:
    server = Server(f"http://127.0.0.1:{port}")

    async def one() -> int:
        async with server.post(PATH, BODY, "application/json") as answer:
            return len([None async for _ in answer.body])

    return one


CLIENTS = {"httpx": by_httpx, "h11": by_h11, "sonorant.bench.http": by_ours}


async def measure(name: str, port: int, clients: int, seconds: float) -> tuple[float, float, float]:
    """(share of a core, ms of CPU a request, requests/s)"""
    one = await CLIENTS[name](port)
    await one()
    began, cpu = perf_counter(), thread_time()
    done = 0

    async def client() -> None:
        nonlocal done
        while perf_counter() < began + seconds:
            assert await one() >= 1
            done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    wall, cpu = perf_counter() - began, thread_time() - cpu
    return cpu / wall, cpu / done * 1000, done / wall


def main() -> int:
    """Print a table; each client three times, the least of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            found = {
                name: min(
                    asyncio.run(measure(name, port, options.clients, options.seconds / 3)) for _ in range(3)
                )
                for name in CLIENTS
            }
        finally:
            process.terminate()
    print("| client | of one core | CPU a request | requests/s |\n|---|---|---|---|")
    for name, (share, milliseconds, rate) in found.items():
        print(f"| {name} | {share:.1%} | {milliseconds:.2f} ms | {rate:.0f} |")
    print("; ".join(f"{k} {v}" for k, v in machine.describe("httpx", "h11", "sonorant").items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
