"""LiteRT beside ONNX Runtime on networks of the catalogue: parity, memory, and time at and between buckets.

python benchmarks/litert.py [--models silero-vad,hifigan] [--json FILE]

Each network is translated and proven as `sonorant prepare MODEL --to litert` does, if that has not made it
before; what cannot be is listed with the reason. Both engines run on one thread, in turns; milliseconds are
of the processor, which other programs do not lengthen, and they and ratios are medians. Opening is the
milliseconds that an interpreter takes to be made, which hold Python's lock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import machine
from sonorant.errors import SonorantError
from sonorant.networks import targets
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.litert import Buckets
from sonorant.networks.engines.onnxruntime import OnnxRuntime, described
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.prepared import MEMORY, SIZE, SOURCE_MEMORY, SOURCE_SIZE
from sonorant.prepare.convert.making import convert
from sonorant.prepare.parity import resized
from sonorant.prepare.recipes import Converted, way
from sonorant.prepare.session import Asked, read
from sonorant.prepare.subject import Subject
from sonorant.settings import Settings

MODELS = ("silero-vad", "hifigan", "dnsmos", "campplus", "distillmos", "hibari")
ROUNDS, SECONDS = 15, 30.0
"""at most, and for how long at most"""
ONE_THREAD = OnnxRuntimeOptions({"intra_op_num_threads": 1})


def measured(subject: Subject, artefacts: Artefacts) -> dict[str, Any]:
    """What became of one network."""
    recipe = way("litert")
    assert isinstance(recipe, Converted)
    try:
        kept = artefacts.kept(subject.path, "prepared", recipe.id)
        artefact = kept or convert(subject, recipe, artefacts)
    except SonorantError as error:
        return {"refused": error.why or error.what}
    evidence = artefact.proof.evidence
    if evidence.fault:
        return {"refused": evidence.fault}
    buckets = Buckets.read(targets.model_file(artefact.folder))
    source = OnnxRuntime(subject.path, ONE_THREAD, exposed=subject.exposed)
    began = time.process_time()
    derived = targets.load(artefact.folder, targets.LITERT, ONE_THREAD, "cpu")
    opening = time.process_time() - began
    base = subject.recorded[len(subject.recorded) // 2] if subject.recorded else subject.signature.example()
    found: dict[str, Any] = {
        "dB": round(evidence.worst, 1),
        "cases": len(evidence.comparisons),
        "MB": [round(evidence.figures[name] / 1e6, 1) for name in (SOURCE_SIZE, SIZE)],
        "memory, MB": [round(evidence.figures[name] / 1e6) for name in (SOURCE_MEMORY, MEMORY)],
        "opening, ms": round(1000 * opening),
        "buckets": list(buckets.sizes),
        "ms": [],
    }
    for size in _sizes(buckets, subject):
        feeds = resized(subject.signature, base, {buckets.axis: size}) if buckets.axis else base
        calls = [engine.prepare(feeds) for engine in (source, derived)]
        for call in calls:
            call()
        taken: list[list[float]] = []
        began = time.perf_counter()
        while len(taken) < ROUNDS and (len(taken) < 3 or time.perf_counter() - began < SECONDS):
            taken.append([_seconds(call) for call in calls])
        ms = [round(1000 * statistics.median(times), 2) for times in zip(*taken, strict=True)]
        ratio = round(statistics.median(a / b for a, b in taken), 2)
        found["ms"].append({"size": size, "onnxruntime": ms[0], "litert": ms[1], "times": ratio})
    for engine in (source, derived):
        engine.close()
    return found


def _sizes(buckets: Buckets, subject: Subject) -> list[int]:
    """The bucket that holds the usual length, and halfway to it from the one below."""
    if not buckets.axis:
        return [0]
    place, tensor = next((p, t) for t in subject.signature.inputs if (p := buckets.place(t)) is not None)
    axis = tensor.dims[place]
    assert not isinstance(axis, int)
    full = buckets.bucket(max(axis.typical, axis.min))
    below = max((size for size in buckets.sizes if size < full), default=full)
    return [full, (below + full) // 2]


def _seconds(call: Any) -> float:
    """Of the processor."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--models", default=",".join(MODELS))
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    settings = Settings(device="cpu")
    artefacts = Artefacts(settings.catalogue.home.expanduser(), described("cpu"))
    found: dict[str, Any] = {"machine": machine.describe("onnxruntime", "ai-edge-litert")}
    print(json.dumps(found["machine"]))
    for model in chosen.models.split(","):
        with read(Asked(model, ()), settings) as folders:
            for subject in map(Subject.read, folders):
                row = found[subject.name] = measured(subject, artefacts)
                print(f"{subject.name:14}", _told(row), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


def _told(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"refused: {row['refused']}"
    times = "; ".join(
        f"{one['size'] or 'its size'}: {one['onnxruntime']} → {one['litert']} ms, {one['times']} ×"
        for one in row["ms"]
    )
    size, memory = (" → ".join(map(str, row[name])) for name in ("MB", "memory, MB"))
    opened = f"opened in {row['opening, ms']} ms"
    return f"{row['dB']} dB in {row['cases']} cases, {size} MB, memory {memory} MB, {opened}; {times}"


if __name__ == "__main__":
    main()
