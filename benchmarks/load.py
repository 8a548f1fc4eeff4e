"""Many clients at once, against the goals: Piper beside its bare loop, hibari's first audio, too much load.

    python benchmarks/load.py [--seconds 8] [--rounds 3] [--only piper|hibari] [--json FILE]

One server for both voices, in a process of its own, on a free port of this machine. The bare loop has the
same cores, in the same run, and takes turns with the server, so that a noisy machine hurts both. The load
generator shares the cores, too; what it takes is printed. Goals that are missed are printed as such.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import bare
import machine
import windows
from serving import server
from sonorant.bench import report
from sonorant.bench.asking import speaking
from sonorant.bench.figures import Figures, Percentiles, figures
from sonorant.bench.http import Server
from sonorant.bench.loads import Bounds, closed
from sonorant.bench.processes import Processes, listening
from sonorant.bench.report import Load, Plan, Report
from sonorant.bench.texts import sentences

CLIENTS = 16
WHOLE_SHARE, STREAMED_SHARE = 0.95, 0.88
"""of the bare loop's audio seconds a second, that the server must reach"""
GATEWAY_SECONDS = 0.003
FIRST_SECONDS, UNDER_LOAD_SECONDS = 0.200, 0.250
"""first audio: median with 16 clients; p95 in an open loop at 80% of capacity"""
REFUSAL_SECONDS = 0.050
FLAT = 0.02
"""the share by which memory may grow from one load of 16 clients to the next"""

TEXTS = sentences()


@dataclass(frozen=True)
class Line:
    """A goal of the table."""

    what: str
    bound: str
    measured: str
    kept: bool | None
    """None = it could not be measured"""


def ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms"


def fields(model: str) -> dict[str, str]:
    return {"model": model, "voice": "alloy", "response_format": "wav"}


def bare_speed(speak: Callable[[str], tuple[bare.Samples, int]], seconds: float) -> float:
    """Audio seconds a second of the bare loop."""
    began, audio, number = perf_counter(), 0.0, 0
    while perf_counter() < began + seconds:
        samples, rate = speak(TEXTS[number % len(TEXTS)])
        audio += len(samples) / rate
        number += 1
    return audio / (perf_counter() - began)


def served(url: str, model: str, clients: int, seconds: float, *, whole: bool) -> Figures:
    """One closed loop."""

    async def run() -> Figures:
        there = Server(url)
        try:
            ask = speaking(there, TEXTS, fields(model), whole=whole)
            return figures(await closed(ask, clients, Bounds(seconds)))
        finally:
            there.close()

    return asyncio.run(run())


def piper(url: str, seconds: float, rounds: int) -> list[Line]:
    """The voice whose network takes nearly all of the time: what does serving leave of it, and how soon is
    it heard?

    Each load is compared with the mean of the bare loops right before and right after it.
    """
    speak = bare.piper()
    speak(TEXTS[0])
    served(url, "piper-joe", CLIENTS, 1.0, whole=False)
    shares: dict[bool, list[float]] = {True: [], False: []}
    speeds = [bare_speed(speak, seconds)]
    failed = refused = 0
    for whole in (True, False) * rounds:
        one = served(url, "piper-joe", CLIENTS, seconds, whole=whole)
        speeds.append(bare_speed(speak, seconds))
        shares[whole].append(one.rtfx / statistics.mean(speeds[-2:]))
        failed += one.failed + one.hung
        refused += one.refused
    lines = [Line("Piper, bare loop", "", f"{statistics.median(speeds):.1f} audio-s/s", None)]
    for whole, bound in ((True, WHOLE_SHARE), (False, STREAMED_SHARE)):
        share = statistics.median(shares[whole])
        how = "unstreamed" if whole else "streamed"
        spread = f"{share:.2f} × ({min(shares[whole]):.2f}–{max(shares[whole]):.2f})"
        lines.append(Line(f"Piper, {CLIENTS} clients, {how}", f"≥ {bound} × bare", spread, share >= bound))
    what = f"Piper, failed or hung ({refused} were told to come again a second later)"
    lines.append(Line(what, "0", str(failed), failed == 0))
    plan = Plan((1, CLIENTS), Bounds(3 * seconds, hang_seconds=30), shares=(0.8, 3.0))
    found = reported(url, "piper-joe", plan)
    many = found.loads[1]
    return [
        *lines,
        first_audio(f"Piper, {CLIENTS} clients, first audio p50", many, "p50", FIRST_SECONDS),
        *open_lines("Piper", found, windows.longest_run()),
    ]


def reported(url: str, model: str, plan: Plan) -> Report:
    """Closed loops, and open ones as shares of the most that they have shown."""

    async def run() -> Report:
        there = Server(url)
        processes = Processes(*listening(there.host, there.port))
        try:
            return await report.run(speaking(there, TEXTS, fields(model)), plan, processes, progress=say)
        finally:
            there.close()

    return asyncio.run(run())


def hibari(url: str, seconds: float) -> tuple[list[Line], Report]:
    """The voice that costs little, so that what is around it shows."""
    runs: list[float] = []
    speak = bare.hibari(runs)
    speak(TEXTS[0])
    runs.clear()
    cpu = process_time()
    for text in TEXTS:
        speak(text)
    bare_cpu = (process_time() - cpu) / len(TEXTS)
    for text in TEXTS * 2:
        speak(text)
    # the least of three runs of each text, as others may have had the cores meanwhile
    longest = max(min(runs[i :: len(TEXTS)]) for i in range(len(TEXTS)))

    plan = Plan((1, 4, CLIENTS, CLIENTS), Bounds(seconds, hang_seconds=30), shares=(0.8, 3.0))
    found = reported(url, "hibari", plan)
    one, _, before, many = found.loads[:4]
    return [
        *cost_lines(one, bare_cpu),
        first_audio(f"hibari, {CLIENTS} clients, first audio p50", many, "p50", FIRST_SECONDS),
        memory_line(before, many),
        *open_lines("hibari", found, longest),
    ], found


def cost_lines(one: Load, bare_cpu: float) -> list[Line]:
    """CPU of the gateway and its transport: its own process, where replicas have theirs."""
    assert one.server_cpu is not None
    assert one.gateway_cpu is not None
    apart = one.gateway_cpu < 0.5 * one.server_cpu
    cost = one.gateway_cpu if apart else one.server_cpu - bare_cpu
    how = "the gateway's process" if apart else "the server − the bare loop"
    return [
        Line(
            f"hibari, gateway + transport, CPU a request ({how})",
            f"≤ {ms(GATEWAY_SECONDS)}",
            f"{cost * 1000:.1f} ms (server {one.server_cpu * 1000:.1f}, bare {bare_cpu * 1000:.1f})",
            cost <= GATEWAY_SECONDS,
        )
    ]


def first_audio(what: str, load: Load, percentile: str, bound: float) -> Line:
    found = load.figures.ttfa
    value: float | None = getattr(found, percentile) if found else None
    return Line(what, f"≤ {ms(bound)}", ms(value), value is not None and value <= bound)


def memory_line(before: Load, after: Load) -> Line:
    """From the end of one load of 16 clients to the end of the next."""
    assert before.memory_after
    assert after.memory_after
    growth = after.memory_after / before.memory_after - 1
    measured = f"{growth:+.1%} (peak {(after.memory_peak or 0) / 1e6:.0f} MB)"
    return Line(
        f"hibari, {CLIENTS} clients, memory from load to load", f"≤ +{FLAT:.0%}", measured, growth <= FLAT
    )


def open_lines(name: str, found: Report, longest: float) -> list[Line]:
    """At 80% and at 300% of what the closed loops have shown."""
    some, much = found.loads[-2:]
    alone = found.loads[0].figures.ttfa
    assert alone is not None
    bound = min(UNDER_LOAD_SECONDS, alone.p50 + 2 * longest)
    refusal: Percentiles | None = much.figures.refusal
    late = refusal.most if refusal else None
    broken = some.figures.requests - some.figures.ok
    lost = much.figures.failed + much.figures.hung
    run = f"single client {ms(alone.p50)} + 2 × longest run {longest * 1000:.0f} ms"
    return [
        first_audio(f"{name} at 80% ({some.rate:.1f}/s), first audio p95 ({run})", some, "p95", bound),
        Line(f"{name} at 80%, underruns", "0", str(some.figures.underruns), some.figures.underruns == 0),
        Line(f"{name} at 80%, not answered", "0", str(broken), broken == 0),
        first_audio(
            f"{name} at 300% ({much.rate:.1f}/s), first audio p95 of accepted", much, "p95", 2 * bound
        ),
        Line(
            f"{name} at 300%, the last 429 after (of {much.figures.refused})",
            f"≤ {ms(REFUSAL_SECONDS)}",
            f"{ms(late)} (p50 {ms(refusal.p50 if refusal else None)})",
            None if late is None else late <= REFUSAL_SECONDS,
        ),
        Line(f"{name} at 300%, failed or hung of {much.figures.requests}", "0", str(lost), lost == 0),
    ]


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr)


def main() -> int:
    """Print a table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8, help="of each load")
    parser.add_argument("--rounds", type=int, default=3, help="of Piper's comparison")
    parser.add_argument("--only", choices=["piper", "hibari"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lines: list[Line] = []
    found: Report | None = None
    with server("piper-joe", "hibari") as client:
        url = str(client.base_url)
        if options.only != "hibari":
            lines += piper(url, options.seconds, options.rounds)
        if options.only != "piper":
            more, found = hibari(url, options.seconds)
            lines += more
    print("| | goal | measured | |\n|---|---|---|---|")
    words = {True: "kept", False: "MISSED", None: ""}
    for line in lines:
        print(f"| {line.what} | {line.bound} | {line.measured} | {words[line.kept]} |")
    if found is not None:
        shares = ", ".join(f"{load.generator_cpu:.1%}" for load in found.loads)
        print(f"\nCPU of the generator, of one core, load by load: {shares}")
        if options.json:
            options.json.write_text(json.dumps(found.tree(), indent=2), encoding="utf-8")
    facts = machine.describe("sonorant", "onnxruntime", "uvicorn", "hibari-tts", "piper-tts")
    print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if all(line.kept is not False for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
