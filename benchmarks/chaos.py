"""Processes are killed under load, and a long run must leave nothing behind; the small size is tests/chaos.

    python benchmarks/chaos.py [--kills 20] [--requests 20000] [--texts 1000] [--only kills|soak|long]

Kills: a server of piper-joe and hibari, some clients; every few seconds the process of one model is killed
with SIGKILL. Goals: no request fails that had not begun to answer, and the model serves again within 3 s
(Piper), until one more request, sent at the kill, is answered. Soak: mixed requests (speech in three formats,
transcripts, refusals, clients that leave) by sixteen clients; the least that each process holds at the rests
between its parts is compared, second half with first. A line is fitted to what is held under load, too, where
most is what runs just then. Goals: at most 1 KB a request at rest, no more descriptors or processes than
before. Long: texts of eight sentences, nineteen English ones (hibari) to a Chinese one (Kokoro). Goal: each
is spoken to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

import machine
from serving import server
from sonorant.bench.texts import sentences

CLIENTS = 4
SOAKING = 16
PAUSE = 4.0
"""seconds between two kills, at least"""
IDLE = 8.0
"""seconds after which a server has closed the connections that nobody uses, and its models are at rest"""
BACK_SECONDS = 3.0
LEGS = 8
"""parts of a long run; at the rest behind each, the server holds what requests have left behind"""
PER_REQUEST = 1024.0
"""bytes by which memory may grow with each request"""
LONG, CHINESE = 8, 20
"""sentences of a long text; one text in so many is Chinese"""
RATE = 24_000
LEAST_SECONDS = {"hibari": 0.04, "kokoro": 0.12}
"""of audio a character: what is shorter was broken off (they speak 0.06 and 0.2)"""
TEXT = "Sentence number {} is spoken for client {}."


class Tally:
    """How requests ended."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.failures: list[str] = []


def forkery(pid: int) -> psutil.Process:
    """The process that the replicas of the server are forked from."""
    children = psutil.Process(pid).children()
    return next(p for p in children if "sonorant.replica.forkery" in p.cmdline())


def asking(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=300, limits=httpx.Limits(max_connections=64))


async def speak(
    client: httpx.AsyncClient, model: str, text: str, tally: Tally, wait: float = 5.0, **more: object
) -> bytes:
    """One request; what becomes of it is counted. After a 429 it waits as it is told, `wait` s at most."""
    body = {"input": text, "response_format": "pcm", **({"model": model} if model else {}), **more}
    try:
        answer = await client.post("/v1/audio/speech", json=body)
    except httpx.RemoteProtocolError:
        tally.ends["broken off"] += 1
        return b""
    except httpx.TransportError as error:
        tally.failures.append(repr(error))
        return b""
    if answer.status_code == 429:
        tally.ends["refused"] += 1
        await asyncio.sleep(min(wait, float(answer.headers["retry-after"])))
    elif answer.status_code == 200:
        tally.ends["answered"] += 1
        return answer.content
    else:
        tally.failures.append(answer.text)
    return b""


async def kills(client: httpx.AsyncClient, pid: int, model: str, times: int) -> dict[str, Any]:
    """Kill the model's process so often, under load."""
    tally, back = Tally(), list[float]()
    numbers, over = count(), asyncio.Event()

    async def keep_asking(who: int) -> None:
        while not over.is_set():
            await speak(client, model, TEXT.format(next(numbers), who), tally)

    parent = forkery(pid)
    before = {p.pid: sum(p.cpu_times()[:2]) for p in parent.children()}
    clients = [asyncio.create_task(keep_asking(who)) for who in range(CLIENTS)]
    await asyncio.sleep(PAUSE)
    # the one that has worked since is the model's
    victim = max(parent.children(), key=lambda p: sum(p.cpu_times()[:2]) - before.get(p.pid, 0.0))
    for _ in range(times):
        known = {p.pid for p in parent.children()}
        killed = time.monotonic()
        victim.kill()
        while not await speak(client, model, "Back.", Tally(), wait=0.05):
            if time.monotonic() - killed > 60:
                raise RuntimeError("the model did not come back within 60 s")
        back.append(time.monotonic() - killed)
        victim = next(p for p in parent.children() if p.pid not in known)
        await asyncio.sleep(PAUSE)
    over.set()
    await asyncio.gather(*clients)
    return {
        "model": model,
        "kills": times,
        "back_seconds": {"median": float(np.median(back)), "longest": max(back)},
        "ends": dict(tally.ends),
        "failures": tally.failures[:5],
        "lost": len(tally.failures),
    }


def family(pid: int) -> list[psutil.Process]:
    """The server and all below it."""
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def held(pid: int) -> tuple[int, int, int]:
    """(bytes, open files, processes) of the server and all below it."""
    files = 0
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):  # a decoder that has done its work
            files += process.num_fds()
    each = memory(pid)
    return sum(each.values()), files, len(each)


def memory(pid: int) -> dict[int, int]:
    """Bytes by process, of the server and all below it.

    It is what belongs to them alone: anonymous pages, those that several of them share counted once. The
    share of a library's pages changes with whatever other programs of the machine use it too.
    """
    found = {}
    for process in family(pid):
        with suppress(psutil.NoSuchProcess, OSError):
            found[process.pid] = anonymous(process.pid)
    return found


def anonymous(pid: int) -> int:
    """Bytes of a process's own memory, and its share of what it has in common with its parent."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


async def soak(url: str, pid: int, requests: int) -> dict[str, Any]:
    """So many mixed requests, by clients that hang up before what is left is counted."""
    before = held(pid)
    async with asking(url) as client:
        found = await soaked(client, pid, requests)
    await asyncio.sleep(IDLE)
    after = held(pid)
    return {**found, "files": (before[1], after[1]), "processes": (before[2], after[2])}


async def soaked(client: httpx.AsyncClient, pid: int, requests: int) -> dict[str, Any]:
    tally, numbers = Tally(), iter(range(requests))
    marks: list[tuple[int, int]] = []
    rests: list[tuple[int, dict[int, int]]] = []
    recording = await speak(client, "hibari", "What was heard is written down.", tally, response_format="wav")

    async def one(who: int, number: int, chance: random.Random) -> None:
        kind = chance.random()
        if kind < 0.6:
            shape = chance.choice(["pcm", "wav", "mp3"])
            await speak(client, "hibari", TEXT.format(number, who), tally, response_format=shape)
        elif kind < 0.8:
            answer = await client.post("/v1/audio/transcriptions", files={"file": recording})
            tally.ends[f"transcript {answer.status_code}"] += 1
        elif kind < 0.9:
            answer = await client.post("/v1/audio/speech", json={"input": "", "model": "hibari"})
            tally.ends[f"refused {answer.status_code}"] += 1
        else:
            body = {"model": "hibari", "input": TEXT.format(number, who) * 5}
            async with client.stream("POST", "/v1/audio/speech", json=body) as answer:
                async for _ in answer.aiter_raw():
                    tally.ends["left"] += 1
                    break

    async def keep_asking(who: int) -> None:
        chance = random.Random(who)
        for number in leg:
            try:
                await one(who, number, chance)
            except httpx.TransportError as error:
                tally.failures.append(repr(error))
            if number % 100 == 0:
                marks.append((number, (await asyncio.to_thread(held, pid))[0]))

    for end in range(1, LEGS + 1):
        leg = islice(numbers, requests // LEGS)
        await asyncio.gather(*(keep_asking(who) for who in range(SOAKING)))
        await asyncio.sleep(IDLE)
        rests.append((requests * end // LEGS, memory(pid)))
    return {
        "requests": requests,
        "bytes_a_request": risen([each for _, each in rests]) / (requests / 2),
        "rests": [(n, {pid: round(held / 1e6, 1) for pid, held in each.items()}) for n, each in rests],
        "bytes_under_load": slope(marks, requests / 2),
        "ends": dict(tally.ends),
        "failures": tally.failures[:5],
        "lost": len(tally.failures),
    }


def risen(rests: list[dict[int, int]]) -> int:
    """Bytes by which the least that each process holds at a rest is more in the second half.

    An allocator keeps a block of tens of megabytes at one rest and not at the next; what requests leave
    behind is there at every one.
    """
    half = len(rests) // 2
    first, second = rests[:half], rests[half:]
    stayed = set(first[0]).intersection(*rests)
    return sum(min(each[pid] for each in second) - min(each[pid] for each in first) for pid in stayed)


def slope(marks: list[tuple[int, int]], since: float) -> float:
    """Bytes a request, of a line through what was held after so many requests."""
    at, memory = zip(*((n, m) for n, m in marks if n >= since), strict=True)
    return float(np.polyfit(np.array(at), np.array(memory), 1)[0])


async def long(client: httpx.AsyncClient, texts: int) -> dict[str, Any]:
    """So many long texts, each asked for until it is answered."""
    ends: Counter[str] = Counter()
    failures: list[str] = []
    wanted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    for number in range(texts):
        language, model = ("zh", "kokoro") if number % CHINESE == 0 else ("en", "hibari")
        every = sentences(language)
        text = " ".join(every[(number + i) % len(every)] for i in range(LONG))
        wanted.put_nowait((model, text))

    async def keep_asking() -> None:
        while not wanted.empty():
            model, text = wanted.get_nowait()
            tally, audio = Tally(), b""
            while not (audio or tally.failures or tally.ends["broken off"]):
                audio = await speak(client, model, text, tally)
            ends[model] += len(audio) / (2 * RATE) > len(text) * LEAST_SECONDS[model]
            ends["told to come again"] += tally.ends["refused"]
            if tally.ends["broken off"] or tally.failures:
                failures.append(f"{model}: {tally.failures or 'broken off'}: {text[:40]}")

    await asyncio.gather(*(keep_asking() for _ in range(SOAKING)))
    return {"texts": texts, "whole": ends["hibari"] + ends["kokoro"], "ends": ends, "failures": failures[:5]}


def judged(found: Iterable[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """(what, goal, measured, kept)"""
    rows: list[tuple[str, str, str, bool]] = []
    for one in found:
        if "kills" in one:
            back = one["back_seconds"]
            name = f"{one['model']}, killed {one['kills']} times"
            rows.append(
                (f"{name}: requests lost that had not begun", "0", str(one["lost"]), one["lost"] == 0)
            )
            shown = f"{back['longest']:.1f} s (median {back['median']:.1f})"
            rows.append((f"{name}: serves again", "≤ 3 s", shown, back["longest"] <= BACK_SECONDS))
        elif "texts" in one:
            name, whole = f"{one['texts']} long texts", one["whole"]
            rows.append((f"{name}: spoken to their end", "all", str(whole), whole == one["texts"]))
        else:
            name, left = f"{one['requests']} mixed requests", one["bytes_a_request"]
            measured = f"{left:.0f} B ({one['bytes_under_load']:.0f} under load)"
            rows.append((f"{name}: memory at rest", "≤ 1 KB a request", measured, left <= PER_REQUEST))
            rows.append((f"{name}: failed", "0", str(one["lost"]), one["lost"] == 0))
            for what in ("files", "processes"):
                before, after = one[what]
                rows.append((f"{name}: {what}", "no more", f"{before} → {after}", after <= before + 2))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills under load, and a long run.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--only", choices=["kills", "soak", "long"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    async def run(url: str, pid: int) -> list[dict[str, Any]]:
        found = []
        async with asking(url) as client:
            if "kills" in parts:
                for model in ("piper-joe", "hibari"):
                    found.append(await kills(client, pid, model, options.kills))
            if "soak" in parts:
                found.append(await soak(url, pid, options.requests))
            if "long" in parts:
                found.append(await long(client, options.texts))
        return found

    parts = [options.only] if options.only else ["kills", "soak", "long"]
    with server("hibari", "piper-joe", "moonshine-tiny", "kokoro") as client:
        port = client.base_url.port
        pid = next(c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid)
        found = asyncio.run(run(str(client.base_url), pid))
    facts, rows = machine.describe("sonorant", "onnxruntime", "uvicorn"), judged(found)
    if options.json:
        print(json.dumps({**facts, "found": found}, indent=2))
    else:
        print("| | goal | measured | |\n|---|---|---|---|")
        for what, goal, measured, kept in rows:
            print(f"| {what} | {goal} | {measured} | {'kept' if kept else 'MISSED'} |")
        for one in found:
            print(f"\n{one['ends']} {one['failures'] or ''}")
            for requests, each in one.get("rests", ()):
                print(f"at rest after {requests}, MB by process: {each}")
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if all(kept for *_, kept in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
