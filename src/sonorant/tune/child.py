"""What runs in a child of its own: one trial, and speaking what recognisers are to hear."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sonorant.bench import report
from sonorant.bench.http import Server
from sonorant.bench.processes import Processes
from sonorant.bench.report import Plan
from sonorant.errors import EngineError
from sonorant.prepare.profile.energy import Counters
from sonorant.settings import Settings
from sonorant.tune.load import Load
from sonorant.tune.measured import Measured
from sonorant.tune.pace import Pace, Paced
from sonorant.tune.served import Served, restarts, served, trial_settings
from sonorant.tune.slo import Slo

HANG_SECONDS = 30.0


def measure(
    settings: Mapping[str, Any],
    candidate: Mapping[str, Any],
    model: str,
    load: Mapping[str, Any],
    clients: Sequence[int],
    goals: Sequence[Mapping[str, Any]],
    requests: int | None,
    usual_seconds: float,
    load_seconds: float,
    hopeless: float,
    admitting: bool,
    start_seconds: float,
) -> list[Any]:
    """Serve a model with a candidate's settings and put it under closed loops, one after the other.

    A load has so many `requests`; without a number it lasts `usual_seconds`, or longer where it would have
    too few. No request begins after `load_seconds`, nor once it is plain that the throughput is less than is
    `hopeless`. Of several loads the first that misses a goal is the last; where they are `admitting`, the
    first in which nobody is refused is.
    """
    asked, slo = Load.read(load), msgspec.convert({"goals": goals}, Slo)
    whole = Settings.model_validate(settings)

    async def loads(running: Served) -> list[Measured]:
        server, processes = Server(running.url), Processes(running.pid)
        found: list[Measured] = []
        try:
            ask = asked.ask(server)
            for count in clients:
                usual = usual_seconds if requests is None else 0.0
                pace = Pace(ask, count, usual, hopeless, admitting and count > 1)
                number = requests and max(requests, count)  # or not all of them would ask
                bounds = Paced(load_seconds, number, HANG_SECONDS, pace=pace)
                plan = Plan((count,), bounds, warm_up_seconds=0.0 if found else load_seconds)
                found.append(await _measured(pace, plan, processes, whole.device))
                if not found[-1].crowded if admitting else slo.missed(found[-1].value):
                    break
        finally:
            server.close()
        return found

    with tempfile.TemporaryDirectory(prefix="sonorant-") as jobs:
        sent = trial_settings(whole, model, candidate, Path(jobs))
        with served(sent, start_seconds) as running:
            found = asyncio.run(loads(running))
            if died := restarts(running.url):
                raise EngineError(
                    f"The model's process died under this load ({died} times)", why=_reasons(found)
                )
    return [msgspec.to_builtins(one) for one in found]


async def _measured(pace: Pace, plan: Plan, processes: Processes, device: str) -> Measured:
    counters: list[Counters] = []

    def begins(_: str) -> None:
        counters.append(Counters(device))  # the last one when the warm-up is over

    ran = await report.run(pace.ask, plan, processes, progress=begins)
    joules = counters[-1].taken().joules
    return Measured.of(ran.loads[0], sum(joules.values()) if joules else None, given_up=pace.given_up)


def _reasons(found: Sequence[Measured]) -> str:
    return "; ".join(sorted({reason for one in found for reason in one.faults}))


def speak(settings: Mapping[str, Any], language: str, texts: Sequence[str], folder: str) -> list[str]:
    """Say texts with the default voice of a language; the files."""
    from sonorant.library import Model, default_model
    from sonorant.tasks import Task

    voice = Model(default_model(Task.SPEECH, frozenset({language})), Settings.model_validate(settings))
    files = []
    for number, text in enumerate(texts):
        file = Path(folder) / f"{number}.wav"
        part = file.with_name(f"making-{number}.wav")  # what was begun is not taken for whole
        voice.say(text, seed=number).save(part)
        part.replace(file)
        files.append(str(file))
    voice.close()
    return files
