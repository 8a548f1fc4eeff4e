"""Two models on the same cores, and each on half of them.

    python benchmarks/cores.py [--seconds 8] [--json]

A server of piper-joe and hibari whose processes share all cores, and one where each has half of them
(`replicas.cores`). Clients ask for one voice, then for both at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

import machine
from serving import server
from sonorant.bench.asking import speaking
from sonorant.bench.figures import Figures, figures
from sonorant.bench.http import Server
from sonorant.bench.loads import Bounds, closed
from sonorant.bench.texts import sentences

MODELS = ("piper-joe", "hibari")
CLIENTS = 4
"""of each voice"""
LOADS = (("piper-joe",), ("hibari",), MODELS)


def loaded(url: str, models: tuple[str, ...], seconds: float) -> dict[str, Figures]:
    """Clients of all these models at once."""

    async def run() -> dict[str, Figures]:
        there = Server(url)
        fields = {"voice": "alloy", "response_format": "wav"}
        try:
            asks = [speaking(there, sentences(), {**fields, "model": model}) for model in models]
            loads = (closed(ask, CLIENTS, Bounds(seconds)) for ask in asks)
            return dict(zip(models, map(figures, await asyncio.gather(*loads)), strict=True))
        finally:
            there.close()

    return asyncio.run(run())


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8, help="of each load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    here = sorted(os.sched_getaffinity(0))
    half = len(here) // 2
    if not half:
        raise SystemExit("one core cannot be shared out")
    split = json.dumps(dict(zip(MODELS, (here[:half], here[half:]), strict=True)))
    rows: list[dict[str, Any]] = []
    for how, cores in (("shared", "{}"), ("half each", split)):
        with server(*MODELS, SONORANT_REPLICAS__CORES=cores) as client:
            for models in LOADS:
                for model, one in loaded(str(client.base_url), models, options.seconds).items():
                    first = 1000 * one.ttfa.p95 if one.ttfa else None
                    rows.append(
                        {
                            "cores": how,
                            "asked": ", ".join(models),
                            "of": model,
                            "rtfx": one.rtfx,
                            "ttfa": first,
                        }
                    )
    facts = machine.describe("sonorant", "onnxruntime")
    if options.json:
        print(json.dumps({**facts, "rows": rows}, indent=2))
        return 0
    print("| cores | clients of | voice | audio-s/s | first audio p95 |\n|---|---|---|---|---|")
    for row in rows:
        soon = "–" if row["ttfa"] is None else f"{row['ttfa']:.0f} ms"
        print(f"| {row['cores']} | {row['asked']} | {row['of']} | {row['rtfx']:.1f} | {soon} |")
    print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
