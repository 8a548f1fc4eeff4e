"""What preparing gains, on real models: reference → prepared, each with its verdict.

    python benchmarks/prepared.py --allow int8
    python benchmarks/prepared.py piper-joe=int8-static silero-vad=slim,int8-static --allow int8

`--allow int8` goes by the wider bounds, and the verdict says so. Artefacts are made where the settings say
(SONORANT_CATALOGUE__HOME), and made again with --force. Speed is that of a network, in times of its source's,
both run in turns in one process.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import machine
from sonorant.networks.prepared import MEMORY, SIZE, SOURCE_MEMORY, SOURCE_SIZE
from sonorant.prepare.recipes import way
from sonorant.prepare.session import Asked, Row, prepare
from sonorant.settings import load_settings

USUAL = (
    "silero-vad=openvino",
    "campplus=optimise,openvino",
    "distillmos=openvino,openvino-bfloat16",
    "piper-joe=int8-static",
    "hifigan=conv2d+openvino-bfloat16,int8-static",
)


def main(arguments: list[str]) -> None:
    """A Markdown table."""
    force = "--force" in arguments
    allow = "int8" if "--allow" in arguments else ""
    chosen = [each for each in arguments if each not in ("--force", "--allow", "int8")] or USUAL
    print(machine.describe("onnxruntime", "onnx", "openvino"))
    heads = ("network", "prepared", "size, MB", "memory, MB", "speed", "parity, dB", "verdict")
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for each in chosen:
        model, _, recipes = each.partition("=")
        asked = Asked(model, tuple(map(way, recipes.split(","))), again=force, allow=allow)
        for row in prepare(asked, load_settings()):
            print("| " + " | ".join(cells(model, row)) + " |", flush=True)


def cells(model: str, row: Row) -> Iterator[str]:
    """One line of the table."""
    yield f"{model}, {row.network}"
    yield row.recipe
    if row.artefact is None or not row.artefact.proof.holds:
        why = row.artefact.proof.evidence.fault if row.artefact else str(row.error)
        yield from ("", "", "", "", f"not proven: {why}")
        return
    evidence = row.artefact.proof.evidence
    for names in ((SOURCE_SIZE, SIZE), (SOURCE_MEMORY, MEMORY)):
        yield " → ".join(f"{evidence.figures[name] / 1e6:.1f}" for name in names)
    yield f"{row.speed:.2f} ×"
    yield "∞" if evidence.worst == math.inf else f"{evidence.worst:.1f}"
    if evidence.exact:
        yield "exact"
    elif evidence.quality is None or evidence.heard == "not measured":
        yield "quality not measured"
    else:
        allowed = f", as {evidence.quality.allowed} may be" if evidence.quality.allowed else ""
        yield f"passed{allowed}" if evidence.quality.passed else "failed"


if __name__ == "__main__":
    main(sys.argv[1:])
