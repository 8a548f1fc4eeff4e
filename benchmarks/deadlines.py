"""How soon speech begins while recordings are transcribed on the same device, by the order of its work.

    python benchmarks/deadlines.py [--seconds 6] [--json]

Six callers have Moonshine transcribe a recording of 44 s over and over; another one asks hibari for two short
sentences, again and again, and waits for the first audio. Earliest due first, beside first come first served.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import machine
from listening import real_speech
from sonorant.replica import LocalReplica, Replicas, device
from sonorant.settings import load_settings
from sonorant.tasks import AudioFormat, Delivery, SpeechRequest, TranscriptionRequest, Upload

TEXT = "Good morning to you. This is another sentence."
LISTENERS = 6
PCM = Delivery(format=AudioFormat.PCM)


async def text() -> AsyncIterator[str]:
    yield TEXT


async def transcribed(replica: LocalReplica, segments: list[float]) -> None:
    while True:
        upload = Upload(real_speech()[1].path)
        async with aclosing(replica.transcribe(TranscriptionRequest(model=replica.name), upload)) as events:
            async for _ in events:
                segments.append(time.perf_counter())


async def first_audio(replica: LocalReplica) -> float:
    began = time.perf_counter()
    async with aclosing(replica.speak(SpeechRequest(model=replica.name), text(), PCM)) as events:
        async for event in events:
            if event.seconds:
                return time.perf_counter() - began
    raise AssertionError("nothing was said")


async def measured(seconds: float) -> dict[str, float]:
    replicas = Replicas(load_settings(), ["hibari", "moonshine-tiny"])
    await replicas.start()
    voice, listener = replicas.all
    segments: list[float] = []
    tasks = [asyncio.create_task(transcribed(listener, segments)) for _ in range(LISTENERS)]
    await asyncio.sleep(1.0)
    began, waited = time.perf_counter(), []
    while time.perf_counter() - began < seconds:
        waited.append(await first_audio(voice))
        await asyncio.sleep(0.1)
    ended = time.perf_counter()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await replicas.close()
    return {
        "first audio, median, ms": 1000 * statistics.median(waited),
        "first audio, slowest, ms": 1000 * max(waited),
        "stretches of speech written down a second": sum(began < at < ended for at in segments)
        / (ended - began),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="How soon speech begins beside transcripts.")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {"earliest due": asyncio.run(measured(options.seconds))}
    device._by_due = lambda job: (0.0, job.number)
    figures["first come"] = asyncio.run(measured(options.seconds))
    facts = machine.describe("sonorant", "onnxruntime")
    if options.json:
        print(json.dumps({**facts, **figures}, indent=2))
        return 0
    for order, found in figures.items():
        print(f"{order}: " + "; ".join(f"{name} {value:.1f}" for name, value in found.items()))
    print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
