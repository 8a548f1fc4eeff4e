"""What TensorRT for RTX parses and builds with dynamic sizes, on a machine without a GPU.

    python benchmarks/building.py [--json FILE] [PART OF A NAME …]

By the product's own path (sonorant.prepare.convert.tensorrt): HiFi-GAN's generator as
`sonorant prepare hifigan --to export` writes it, the Piper voice joe (a VITS) whole and in the parts in which
it is served, and a transformer (random weights, 6 layers of 384). Sizes are those of the signatures, but for
joe as a whole: 4000 phonemes would be six minutes of sound at once. Status 1: something does not build.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bare
import convert
import machine
import windows
from sonorant.errors import SonorantError
from sonorant.families.hifigan.config import parse
from sonorant.families.hifigan.networks import signature
from sonorant.families.hifigan.pipeline import generator
from sonorant.networks import Signature, streaming
from sonorant.networks.checkpoint import Checkpoint, exported
from sonorant.prepare.convert import tensorrt
from sonorant.prepare.convert.profile import Span
from sonorant.prepare.export import export_checkpoint

STEPS = 8
"""for each phoneme id; at joe's usual pace one lasts 2 to 3 on the average"""
PHONEMES = 3, 120, 400


@dataclass(frozen=True, slots=True)
class Case:
    """A network to build."""

    name: str
    path: Path
    signature: Signature
    axes: Mapping[str, Span] = field(default_factory=dict)
    steps: int = 0


def cases(folder: Path) -> Iterator[Case]:
    """Real weights where there are any."""
    yield Case("HiFi-GAN (universal V1)", *hifigan())
    builder, joe = windows.Builder(1), windows.joe()
    axes = {"batch": (1, 1, 1), "phonemes": PHONEMES}
    yield Case(f"Piper joe, whole, {STEPS} steps a phoneme", joe.path, whole(joe), axes, STEPS)
    voice = streaming.load(builder, "joe", joe)
    if voice is None:
        raise SystemExit("the voice is not cut")
    for part, what in zip(voice.windows.parts, ("its flow", "its vocoder"), strict=True):
        path = Path(part.network.engine.source)
        yield Case(f"Piper joe, {what}, as served", path, part.network.signature)
    yield Case("a transformer", *convert.transformer(folder))


def whole(joe: streaming.Model) -> Signature:
    """Without the durations, which are no output of the publisher's file."""
    return Signature(joe.signature.inputs, joe.signature.outputs[:1])


def hifigan() -> tuple[Path, Signature]:
    """The proven export of this machine, made where it is not there."""
    folder = bare.folder("hifigan")
    text = (folder / "config.json").read_text(encoding="utf-8")
    declared = signature(parse(text))
    checkpoint = Checkpoint(folder / "generator_universal.pth.tar", partial(generator, text), declared)
    artefacts = windows.Builder(1).artefacts
    if exported(checkpoint, artefacts) is None:
        export_checkpoint(checkpoint, artefacts)
    path = exported(checkpoint, artefacts)
    assert path is not None
    return path, declared


def built(case: Case, folder: Path) -> dict[str, Any]:
    """What there is to say of its engine, or why there is none."""
    try:
        made = tensorrt.convert(
            case.path, case.signature, folder / case.name, axes=case.axes, steps=case.steps
        )
    except SonorantError as error:
        return {"refused": error.why or str(error)}
    described = json.loads(made.path.with_suffix(".json").read_text(encoding="utf-8"))
    return {
        "built by": made.engine,
        "sizes": described["profile"],
        "values": described["values"],
        "layers": described["layers"],
        "seconds": described["seconds"],
        "MB": round(made.path.stat().st_size / 1e6, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("names", nargs="*", help="only those that have one of these in their names")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [
            case
            for case in cases(Path(scratch))
            if not chosen.names or any(name in case.name for name in chosen.names)
        ]
        rows = {case.name: built(case, Path(scratch)) for case in wanted}
    found = {"machine": machine.describe("tensorrt-rtx", "onnx"), "built": rows}
    print(json.dumps(found["machine"]))
    for name, row in rows.items():
        if "refused" in row:
            print(f"{name:40} {row['refused']}")
            continue
        sizes = "; ".join(f"{n} {' – '.join(map(str, spans))}" for n, spans in row["sizes"].items())
        print(f"{name:40} {row['seconds']:6.1f} s {row['MB']:6.1f} MB {row['layers']:6} layers   {sizes}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any("refused" in row for row in rows.values()))


if __name__ == "__main__":
    raise SystemExit(main())
