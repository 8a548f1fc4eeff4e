"""How soon the computing ends when nobody wants the result any more.

    python benchmarks/cancelling.py [--times 20] [--json]

A long request to one model at a time, in this process; it is cancelled after 0.1 to 0.9 s. Counted are the
runs that begin later than that, and how long the one that ran went on. Goals: no run begins 20 ms after the
cancelling; a run stops within 100 ms where the engine allows: ONNX Runtime looks at its terminate flag
between two operators, the other work (text, codecs, VAD) is short and runs to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import numpy as np

import machine
from listening import real_speech
from sonorant.bench.texts import sentences
from sonorant.replica import LocalReplica, Replicas
from sonorant.replica.device import Device
from sonorant.settings import load_settings
from sonorant.tasks import AudioFormat, Delivery, SpeechRequest, Task, TranscriptionRequest, Upload

MODELS = ("hibari", "piper-joe", "kokoro", "moonshine-tiny")
BEGUN_SECONDS, STOPPED_SECONDS = 0.020, 0.100
IDLE_SECONDS = 10.0
"""until the device must be idle"""
TEXT = " ".join(sentences())


class Runs:
    """What a device runs: when each run begins and ends."""

    def __init__(self, device: Device) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []
        self._device, self._compute = device, device._compute
        device._compute = self._watched  # type: ignore[method-assign]

    def _watched(self, run: Any) -> None:
        self.began.append(time.perf_counter())
        self._compute(run)
        self.ended.append(time.perf_counter())

    async def idle(self) -> None:
        deadline = time.perf_counter() + IDLE_SECONDS
        while (load := self._device.load()).running or load.waiting or len(self.ended) < len(self.began):
            if time.perf_counter() > deadline:
                raise RuntimeError(f"still at work {IDLE_SECONDS:.0f} s after it was cancelled")
            await asyncio.sleep(0.001)


async def text() -> AsyncIterator[str]:
    yield TEXT


def asked(replica: LocalReplica) -> AsyncGenerator[Any, None]:
    """A request that takes longer than anybody waits here."""
    if replica.task is Task.SPEECH:
        return replica.speak(SpeechRequest(model=replica.name), text(), Delivery(format=AudioFormat.PCM))
    return replica.transcribe(TranscriptionRequest(model=replica.name), Upload(real_speech()[1].path))


async def consumed(replica: LocalReplica) -> None:
    async with aclosing(asked(replica)) as events:
        async for _ in events:
            pass


async def measured(model: str, times: int) -> dict[str, float]:
    """Seconds after the cancelling: of the last run that began, of the end of the last run."""
    replicas = Replicas(load_settings(), [model])
    await replicas.start()
    (replica,) = replicas.all
    runs, chance = Runs(replica._device), random.Random(0)
    begun, stopped = [], []
    for _ in range(times):
        task = asyncio.create_task(consumed(replica))
        await asyncio.sleep(chance.uniform(0.1, 0.9))
        if task.done():
            raise RuntimeError(f"{model} was faster than that")
        task.cancel()
        cancelled = time.perf_counter()
        with suppress(asyncio.CancelledError):
            await task
        await runs.idle()
        begun.append(max(0.0, max(runs.began) - cancelled))
        stopped.append(max(0.0, max(runs.ended) - cancelled))
    await replicas.close()
    return {
        "last run begun": max(begun),
        "stopped, median": float(np.median(stopped)),
        "stopped, longest": max(stopped),
    }


def main() -> int:
    """Print a table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {model: asyncio.run(measured(model, options.times)) for model in MODELS}
    kept = {
        model: one["last run begun"] <= BEGUN_SECONDS and one["stopped, longest"] <= STOPPED_SECONDS
        for model, one in found.items()
    }
    facts = machine.describe("sonorant", "onnxruntime")
    if options.json:
        print(json.dumps({**facts, "models": found}, indent=2))
    else:
        print("| model | last run begun after | stopped after (median, longest) | |\n|---|---|---|---|")
        for model, one in found.items():
            begun, median, longest = (f"{1000 * seconds:.0f} ms" for seconds in one.values())
            print(f"| {model} | {begun} | {median}, {longest} | {'kept' if kept[model] else 'MISSED'} |")
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
