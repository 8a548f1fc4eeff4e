"""What is around the models breaks under load: a model's file, the disk of the cache, Redis.

    python benchmarks/faults.py [--seconds 20] [--json]

Sixteen clients ask hibari for speech, every third sentence for a second time. A third of the way on the fault
comes, two thirds on it is mended. Goal: no request fails. The disk is a file system of 2 MB in memory, which
only root may mount; Redis is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import httpx

import bare
import machine
from chaos import TEXT, Tally, speak
from serving import server

CLIENTS = 16


@dataclass(frozen=True)
class Row:
    """What became of the requests while one thing broke."""

    fault: str
    answered: int
    refused: int
    broken_off: int
    failed: int
    reasons: list[str]
    seen: str
    """that the fault was there"""


@dataclass(frozen=True)
class Fault:
    """Something that can be broken and mended while the server runs."""

    breaks: Callable[[], None]
    mends: Callable[[], None]
    seen: Callable[[httpx.Client], str]


def load(client: httpx.Client, fault: Fault, name: str, seconds: float) -> Row:
    """Break and mend it under load."""
    tally, numbers = Tally(), count()

    async def ask(http: httpx.AsyncClient, who: int, end: float) -> None:
        while time.monotonic() < end:
            number = next(numbers)
            text = TEXT.format(number - number % 3 // 2, number % 7)  # every third is the one before
            await speak(http, "", text, tally)

    async def run() -> str:
        end = time.monotonic() + seconds
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as http:
            asking = asyncio.gather(*(ask(http, who, end) for who in range(CLIENTS)))
            await asyncio.sleep(seconds / 3)
            await asyncio.to_thread(fault.breaks)
            await asyncio.sleep(seconds / 3)
            seen = await asyncio.to_thread(fault.seen, client)
            await asyncio.to_thread(fault.mends)
            await asking
        return seen

    seen = asyncio.run(run())
    ends = tally.ends
    return Row(
        name,
        ends["answered"],
        ends["refused"],
        ends["broken off"],
        len(tally.failures),
        tally.failures[:3],
        seen,
    )


def model_file(seconds: float, home: Path) -> Row:
    """The file of a model is cut short, then whole again."""
    folder = home / "voice"
    shutil.copytree(bare.folder("hibari"), folder)
    file = folder / "hibari.onnx"
    good = file.read_bytes()

    def mend() -> None:
        spare = folder / "spare"
        spare.write_bytes(good)
        spare.rename(file)

    def seen(client: httpx.Client) -> str:
        return str(client.get("/health/ready").json()["models"][0]["notice"])

    def spoil() -> None:
        file.write_bytes(good[:1_000_000])

    with server(str(folder)) as client:
        return load(client, Fault(spoil, mend, seen), "model file", seconds)


def full_disk(seconds: float, home: Path) -> Row:
    """The cache's disk is full, then empty again."""
    disk, stuff = home / "disk", home / "disk" / "stuff"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], check=True)

    def fill() -> None:
        with stuff.open("wb", buffering=0) as out:
            try:
                while True:
                    out.write(bytes(4096))
            except OSError:
                return  # full

    def seen(_: httpx.Client) -> str:
        return f"{shutil.disk_usage(disk).free} bytes free"

    settings = {"SONORANT_CACHE__WHERE": "disk", "SONORANT_CACHE__FOLDER": str(disk / "speech")}
    try:
        with server("hibari", **settings) as client:
            return load(client, Fault(fill, stuff.unlink, seen), "disk of the cache", seconds)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def no_redis(seconds: float, home: Path) -> Row:
    """Redis ends, then another is there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", str(home)]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen(words, stdout=subprocess.DEVNULL))

    def stop() -> None:
        running[-1].kill()
        running[-1].wait(10)

    def seen(_: httpx.Client) -> str:
        return f"ended with {running[-1].returncode}"

    settings = {"SONORANT_CACHE__WHERE": "redis", "SONORANT_CACHE__REDIS": f"redis://127.0.0.1:{port}/0"}
    start()
    try:
        with server("hibari", **settings) as client:
            return load(client, Fault(stop, start, seen), "Redis", seconds)
    finally:
        stop()


def main() -> int:
    """Print a table; 1 where a request failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for fault in (model_file, no_redis, full_disk):
        if fault is full_disk and os.geteuid():
            print("full disk: left out, as only root may mount a file system", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as home:
            rows.append(fault(options.seconds, Path(home)))
    facts = machine.describe("sonorant", "onnxruntime", "uvicorn")
    if options.json:
        print(json.dumps({**facts, "faults": [asdict(row) for row in rows]}, indent=2))
    else:
        print("| what breaks | answered | told to come again | broken off | failed |\n|---|---|---|---|---|")
        for row in rows:
            print(f"| {row.fault} | {row.answered} | {row.refused} | {row.broken_off} | {row.failed} |")
        for row in rows:
            print(f"{row.fault}: {row.seen} {row.reasons or ''}")
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if not any(row.failed or row.broken_off for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
