"""One artefact: passes one after the other, the proof, and what it gains."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sonorant.catalogue.digests import size
from sonorant.errors import SonorantError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.prepared import MEMORY, SIZE, SOURCE_MEMORY, SOURCE_SIZE, SPEED
from sonorant.networks.proof import EXACT, Evidence, Note
from sonorant.networks.signature import Feeds
from sonorant.networks.targets import ONNX_FILE
from sonorant.prepare import divergence
from sonorant.prepare.hearing import pieces
from sonorant.prepare.layers import Bench, Search
from sonorant.prepare.mending import Unmended, applied
from sonorant.prepare.parity import Reference, compared, engine_on, reference
from sonorant.prepare.passes import Recipe
from sonorant.prepare.passes.kind import Material, copied, named
from sonorant.prepare.pruned import FILE, Pruned, pruned
from sonorant.prepare.subject import Subject
from sonorant.replica.memory import give_back

if TYPE_CHECKING:
    from onnx import ModelProto

CLAIM = "the passes' graph against the publisher's, on the same engine"
CALIBRATION = 12
"""real feeds that static ranges are measured on, beside those that are compared"""
SEARCH_SECONDS = 300.0
"""for measuring layers one by one"""
TIMED, TIMED_SECONDS = 15, 8.0
"""pairs of runs in which speed is compared, and for how long at most"""

Report = Callable[[float, str], None]
"""share that is done, what is being done"""


def make(
    subject: Subject,
    recipe: Recipe,
    artefacts: Artefacts,
    device: str = "cpu",
    report: Report = lambda *_: None,
    allow: str = "",
    search: Search | None = None,
) -> Artefact:
    """Derive, prove and keep it, whether the proof holds or not.

    `allow`: the precision to which the gate's wider bounds apply; `search`: what is known of the layers from
    before, to which is added what is found out. Raises SonorantError where nothing can be made of this file
    at all.
    """
    return artefacts.make(
        subject.path,
        "prepared",
        recipe.id,
        lambda folder: derive(folder, subject, recipe, device, report, allow, search),
    )


def derive(
    folder: Path,
    subject: Subject,
    recipe: Recipe,
    device: str = "cpu",
    report: Report = lambda *_: None,
    allow: str = "",
    search: Search | None = None,
    share: float = 1.0,
) -> Evidence:
    """Write the derived model into an empty folder, and say what was found out about it.

    `share`: of what is allowed, that choices of layers may take.
    """
    report(0.0, "reading")
    source = subject.model()
    found = reference(subject, device, wanted(subject, recipe))
    engine = engine_on(subject, source, device)
    heard = pieces(subject, engine) if recipe.searched else ()
    engine.close()
    search = search or Search()
    material = Material(calibration(subject, found), tokens=subject.tokens)
    model, notes = source, search.refusals
    for i, each in enumerate(recipe.passes):
        report((i + 1) / (len(recipe.passes) + 3), each.name)
        bench: Bench[ModelProto] = Bench(
            lambda version: engine_on(subject, version, device),
            found, each.least_snr, SEARCH_SECONDS, allow, heard, share,
        )  # fmt: skip
        try:
            mended = applied(each, named(copied(model)), material, subject, bench, search, device)
        except Unmended as error:
            return Evidence(CLAIM, objection=str(error), notes=notes)
        except SonorantError:
            raise
        except Exception as error:  # whatever a strange graph makes a library say
            said = " ".join(str(error).split())[:300]
            return Evidence(CLAIM, objection=f"{each.name}: {type(error).__name__}: {said}", notes=notes)
        if _shape(mended.model) == _shape(model):
            idle = Note(f"there is nothing in it that {each.name} changes")
            if each.least_snr < EXACT or (model is source and each is recipe.passes[-1]):
                return Evidence(CLAIM, objection=idle, unchanged=True, notes=notes)
            notes = (*notes, idle)  # what tidies up for others
            continue
        model, notes = mended.model, (*notes, *mended.notes)
    report((len(recipe.passes) + 1) / (len(recipe.passes) + 3), "proving")
    whole = wanted(subject, recipe) if recipe.of_tokens else source
    made = proven(folder, subject, source, model, found, recipe.least_snr, device, notes, report, whole)
    return replace(made, partial=recipe.of_tokens)


def wanted(subject: Subject, recipe: Recipe | None) -> ModelProto:
    """What an artefact must compute: what its source does, less what a pass takes out by intention."""
    model = subject.model()
    for each in recipe.passes if recipe else ():
        if each.wanted:
            model = each.wanted(named(model), Material(tokens=subject.tokens))
    return model


def calibration(subject: Subject, found: Reference) -> tuple[Feeds, ...]:
    """What ranges of activations are measured on: CALIBRATION feeds of all that was recorded, and those that
    are compared; () where nothing real is known."""
    recorded = subject.recorded
    chosen = recorded[:: max(1, len(recorded) // CALIBRATION)][:CALIBRATION]
    return (*chosen, *found.solo) if recorded else ()


def proven(
    folder: Path,
    subject: Subject,
    source: ModelProto,
    model: ModelProto,
    found: Reference,
    least_snr: float,
    device: str = "cpu",
    notes: tuple[Note, ...] = (),
    report: Report = lambda *_: None,
    wanted: ModelProto | None = None,
) -> Evidence:
    """Compare `model` with the source, write it, and measure what it gains.

    `wanted`: what it must compute, where that is not all that its source does.
    """
    import onnx

    try:
        comparisons = compared(subject, found, model, device)
    except SonorantError as error:
        return Evidence(CLAIM, objection=f"the engine does not take it: {error.why or error}", notes=notes)
    evidence = Evidence(CLAIM, comparisons=comparisons, least_snr=least_snr, notes=notes)
    if evidence.fault:
        case = next(case for case, c in zip(found.cases, comparisons, strict=True) if not c.close(least_snr))
        layer = divergence.first(subject, wanted or source, model, case, least_snr, device)
        told = (Note(f"{layer.note}, the first to part, on {case.data}"),) if layer else ()
        return Evidence(CLAIM, comparisons=comparisons, least_snr=least_snr, notes=(*notes, *told))
    onnx.save(model, folder / ONNX_FILE)
    if (taken := pruned(model)) != Pruned():
        (folder / FILE).write_text(taken.to_json(), encoding="utf-8")
    report(0.9, "measuring")
    figures = measured(subject, source, model, found, device)
    figures |= {SIZE: float((folder / ONNX_FILE).stat().st_size), SOURCE_SIZE: float(size(subject.path))}
    return Evidence(CLAIM, comparisons=comparisons, figures=figures, least_snr=least_snr, notes=notes)


def measured(
    subject: Subject, source: ModelProto, model: ModelProto, found: Reference, device: str = "cpu"
) -> dict[str, float]:
    """Speed against the source, run in turns on the usual feeds, and the memory that each takes."""
    return beside([partial(engine_on, subject, each, device) for each in (source, model)], found.usual.feeds)


def beside(makers: Sequence[Callable[[], Engine]], feeds: Feeds) -> dict[str, float]:
    """The same of two engines, that of the source first."""
    process = psutil.Process()
    engines, held = [], []
    for made in makers:
        gc.collect()
        give_back()
        before = process.memory_info().rss
        engine = made()
        engine.prepare(feeds)()
        engines.append(engine)
        held.append(float(max(0, process.memory_info().rss - before)))
    best, began = [float("inf")] * 2, time.perf_counter()
    for _ in range(TIMED):
        for i, engine in enumerate(engines):
            start = time.perf_counter()
            engine.prepare(feeds)()
            best[i] = min(best[i], time.perf_counter() - start)
        if time.perf_counter() - began > TIMED_SECONDS:
            break
    for engine in engines:
        engine.close()
    return {
        SPEED: best[0] / best[1],
        "source, ms": 1000 * best[0],
        "prepared, ms": 1000 * best[1],
        SOURCE_MEMORY: held[0],
        MEMORY: held[1],
    }


def _shape(model: ModelProto) -> tuple[Counter[tuple[str, str]], Counter[tuple[int, ...]], int]:
    """What a pass changes: kinds of operators, types and shapes of weights, the operator set."""
    operators = Counter((node.domain, node.op_type) for node in model.graph.node)
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    return operators, Counter((weight.data_type, *weight.dims) for weight in model.graph.initializer), opset
