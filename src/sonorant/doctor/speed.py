"""How fast this machine is, measured: a voice that is here, or a product of matrices where none is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonorant.catalogue import Catalogue
from sonorant.confined import confined
from sonorant.errors import SonorantError
from sonorant.settings import Settings

VOICE = "hibari"
"""the default voice: it loads in a second"""
_SENTENCES = (
    "The train to the coast leaves at noon.",
    "We could have walked, but it was raining all morning.",
    "Please ask again when the others are here.",
)
_SECONDS = 1.2
"""of each measurement"""
_BOUND = 60.0
_MEMORY = 4 << 30
_BUSY = 0.7
"""share of what a machine can do that streams may ask for at a time, so that each goes on without a break"""
_CLEARLY = 1.15
"""times as much: less may be chance"""
_SIZE = 768
"""rows and columns of the matrices"""


@dataclass(frozen=True, slots=True)
class Speed:
    what: str
    """the voice, or the kernel, that was measured"""
    rtf: float | None
    """processing / audio of one request by itself; None = no voice was measured"""
    threads: int
    """a run: as usual, or fewer where they make clearly more audio together"""
    audio_seconds: float
    """of speech that all cores make in a second; 0 = no voice was measured"""
    streams: int
    """of that voice that can be played at once; 0 = no voice was measured"""
    gflops: float
    """of the product of matrices, in float32; 0 = a voice was measured"""
    failed: str = ""
    """why the voice could not be measured"""


def measure(settings: Settings, cores: int) -> Speed:
    """In a child; about 8 s, two minutes at the very worst."""
    catalogue = Catalogue(settings.catalogue)
    failed = ""
    if not catalogue.store.missing(catalogue.find(VOICE)):
        try:
            home = str(settings.catalogue.home)
            return _judged(_ask("voice", {"home": home, "threads": sorted({1, min(cores, 4)})}))
        except SonorantError as error:
            failed = str(error)
    try:
        gflops = _ask("matrices", {})["gflops"]
    except SonorantError as error:
        gflops, failed = 0.0, failed or str(error)
    return Speed(f"numpy float32 {_SIZE}×{_SIZE} matmul", None, 0, 0.0, 0, gflops, failed)


def _ask(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = confined(
        f"{__name__}:{function}", arguments,
        title="Measuring how fast this machine is", seconds=_BOUND, memory_bytes=_MEMORY,
    )  # fmt: skip
    return answer


def _judged(measured: dict[str, Any]) -> Speed:
    usual = max(measured["runs"], key=lambda run: run["threads"])
    best = max(measured["runs"], key=lambda run: run["together"])
    chosen = best if best["together"] > _CLEARLY * usual["together"] else usual
    together = chosen["together"]
    rtf = min(run["rtf"] for run in measured["runs"])
    return Speed(VOICE, rtf, chosen["threads"], together, int(together * _BUSY), 0.0)


def voice(home: str, threads: list[int]) -> dict[str, Any]:
    """runs: for each count of threads a run, rtf of one request by itself, and together: seconds of audio a
    second, with two requests a core. In a child."""
    return {"runs": [_spoken(home, count, max(threads)) for count in threads]}


def _spoken(home: str, threads: int, cores: int) -> dict[str, Any]:
    from sonorant.library import Model
    from sonorant.settings import load_settings

    overrides = {
        "device": "cpu",
        "onnxruntime": {"intra_op_num_threads": threads},
        "catalogue": {"home": Path(home), "offline": True},
    }
    model = Model(VOICE, load_settings(None, overrides))
    try:
        _audio(model, 1, 0.2)  # the first run sets memory up
        return {
            "threads": threads,
            "rtf": 1 / _audio(model, 1, _SECONDS),
            "together": _audio(model, 2 * cores, _SECONDS),
        }
    finally:
        model.close()


def _audio(model: Any, clients: int, seconds: float) -> float:
    """Seconds of audio that are made in a second, by so many who each ask again when they have heard all."""
    made = 0.0
    start = time.perf_counter()

    async def client(number: int) -> None:
        nonlocal made
        while time.perf_counter() - start < seconds:
            chunk = await model.say(_SENTENCES[number % len(_SENTENCES)])
            made += len(chunk.samples) / chunk.sample_rate
            number += 1

    async def all_of_them() -> None:
        await asyncio.gather(*(client(number) for number in range(clients)))

    asyncio.run(all_of_them())
    return made / (time.perf_counter() - start)


def matrices() -> dict[str, Any]:
    """gflops of a product of two float32 matrices, the best of several. In a child."""
    import numpy as np

    one = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), np.float32)
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < _SECONDS:
        begun = time.perf_counter()
        one @ one
        best = min(best, time.perf_counter() - begun)
    return {"gflops": 2 * _SIZE**3 / best / 1e9}
