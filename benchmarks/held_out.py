"""The gate against faults, changes and models that had no part in setting its bounds.

    pip install 'sonorant[quality,torch,prepare]'
    python benchmarks/held_out.py [kokoro hifigan moonshine-tiny silero-vad campplus] [--judges] [--json]

thresholds.toml was laid between the changes of planted.py, made to hibari and Piper's joe. Here faults are
planted in networks of other models (held_out_faults.py: heads swapped, kernels flipped in time, rows off by
one, weights of few bits …), in the bytes of Moonshine's files, and on samples; beside them stand what
`sonorant prepare` makes, other numbers of threads, and what nobody hears. A voice says three sentences, a
vocoder says two of them again, recognisers hear people and eight sentences. `--judges`: DNSMOS, DistillMOS,
CAM++ and a recogniser listen as well.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import machine
from held_out_gate import FAULT, HONEST, Found
from held_out_listeners import hearing
from held_out_voices import sounding
from sonorant.prepare.quality.judges import Judges, judges

ALL = ("kokoro", "hifigan", "moonshine-tiny", "silero-vad", "campplus")


def tell(one: Found) -> None:
    values: Mapping[str, Any] = one.figures.values if one.figures else {}
    shown = " ".join(f"{name} {figure.value:.3g}" for name, figure in values.items() if figure.value)
    verdict = (
        f"fails by {', '.join(one.failed)}"
        if one.failed
        else f"does not run: {one.why}"
        if one.why
        else "passes"
    )
    mark = "" if one.right else "WRONG: "
    print(f"{mark}{one.model}, {one.kind}, {one.change}: {verdict}\n    {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The gate against what had no part in setting its bounds.")
    parser.add_argument("models", nargs="*", default=ALL, help=", ".join(ALL))
    parser.add_argument("--only", nargs="+", default=[], help="faults and changes by name")
    parser.add_argument("--judges", action="store_true", help="WER, MOS and speakers as well: minutes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    panel = judges("en") if options.judges else Judges()
    results: list[Found] = []
    for name in options.models:
        each = (
            sounding(name, panel, options.only)
            if name in ("kokoro", "hifigan")
            else hearing(name, options.only)
        )
        for one in each:
            results.append(one)
            if not options.json:
                tell(one)
    facts = machine.describe("sonorant", "onnxruntime", "numpy")
    table = [
        {"model": name}
        | {f"{kind}s": sum(r.kind == kind for r in results if r.model == name) for kind in (FAULT, HONEST)}
        | {
            f"{kind}s, right": sum(r.kind == kind and r.right for r in results if r.model == name)
            for kind in (FAULT, HONEST)
        }
        for name in options.models
    ]
    if options.json:
        rows = [
            {
                "model": r.model,
                "change": r.change,
                "kind": r.kind,
                "failed": r.failed,
                "why": r.why,
                "figures": r.figures.to_dict() if r.figures else None,
            }
            for r in results
        ]
        print(json.dumps({**facts, "table": table, "results": rows}, indent=2))
        return
    for row in table:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    print("; ".join(f"{name} {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
