"""What preparing gains, on real models: reference → prepared, each with its verdict.

    python benchmarks/prepared.py
    python benchmarks/prepared.py piper-joe=int8-static silero-vad=slim,int8-static

Artefacts are made where the settings say (SONORANT_CATALOGUE__HOME), and made again with --force. Speed is
that of a network, in times of its source's, both run in turns in one process.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import machine
from sonorant.networks.prepared import SIZE, SOURCE_SIZE
from sonorant.prepare.passes import recipe
from sonorant.prepare.session import Asked, Row, prepare
from sonorant.settings import load_settings

USUAL = ("piper-joe=int8-static", "silero-vad=slim,int8-static", "hibari=int8-static")


def main(arguments: list[str]) -> None:
    """A Markdown table."""
    force = "--force" in arguments
    chosen = [each for each in arguments if each != "--force"] or USUAL
    print(machine.describe("onnxruntime", "onnx"))
    print("\n| network | prepared | size, MB | speed | parity, dB | verdict |\n|---|---|---|---|---|---|")
    for each in chosen:
        model, _, recipes = each.partition("=")
        asked = Asked(model, tuple(map(recipe, recipes.split(","))), again=force)
        for row in prepare(asked, load_settings()):
            print("| " + " | ".join(cells(model, row)) + " |", flush=True)


def cells(model: str, row: Row) -> Iterator[str]:
    """One line of the table."""
    yield f"{model}, {row.network}"
    yield row.recipe
    if row.artefact is None or not row.artefact.proof.holds:
        yield from ("", "", "", "not proven")
        return
    evidence = row.artefact.proof.evidence
    sizes = (evidence.figures[name] / 1e6 for name in (SOURCE_SIZE, SIZE))
    yield " → ".join(f"{size:.1f}" for size in sizes)
    yield f"{row.speed:.2f} ×"
    yield "∞" if evidence.worst == math.inf else f"{evidence.worst:.1f}"
    if evidence.exact:
        yield "exact"
    elif evidence.quality is None:
        yield "quality not measured"
    else:
        yield "passed" if evidence.quality.passed else "failed"


if __name__ == "__main__":
    main(sys.argv[1:])
