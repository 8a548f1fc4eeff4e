"""One artefact for another engine: passes, the conversion, the proof, and what it gains."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from sonorant.catalogue.digests import size
from sonorant.errors import SignatureError, SonorantError
from sonorant.networks import targets
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.engines.tensorrt_library import gpu, library
from sonorant.networks.prepared import SIZE, SOURCE_SIZE
from sonorant.networks.proof import EXACT, Evidence, Note
from sonorant.networks.targets import ONNX_FILE, ONNX_RUNTIME, TENSORRT
from sonorant.prepare.convert import tensorrt
from sonorant.prepare.convert.kinds import Limits, Material
from sonorant.prepare.hearing import pieces
from sonorant.prepare.layers import Bench, Search
from sonorant.prepare.making import SEARCH_SECONDS, Report, beside, calibration, wanted
from sonorant.prepare.making import derive as passed
from sonorant.prepare.mending import Unmended, multiplications, searched
from sonorant.prepare.parity import Reference, compared_on, engine_on, reference, seeded
from sonorant.prepare.passes.kind import named, touched
from sonorant.prepare.recipes import Converted
from sonorant.prepare.subject import Subject

HALF = 0.5**0.5
"""of what is allowed, where a conversion that loses something comes behind: squares of errors add"""
CLAIM = "another engine on the converted graph, against ONNX Runtime on the publisher's"


def convert(
    subject: Subject,
    recipe: Converted,
    artefacts: Artefacts,
    device: str = "cpu",
    report: Report = lambda *_: None,
    limits: Limits | None = None,
    allow: str = "",
    search: Search | None = None,
) -> Artefact:
    """Derive, prove and keep it, whether the proof holds or not.

    `allow`, `search`: as of `making.make`. Raises SonorantError where nothing can be made of this file at
    all: the engine is not installed, or does not take it.
    """

    def make(folder: Path) -> Evidence:
        chosen = replace(limits or Limits(), home=str(artefacts.home))
        return derive(folder, subject, recipe, device, report, chosen, allow, search)

    return artefacts.make(subject.path, "prepared", recipe.id, make)


def derive(
    folder: Path,
    subject: Subject,
    recipe: Converted,
    device: str,
    report: Report,
    limits: Limits,
    allow: str = "",
    search: Search | None = None,
) -> Evidence:
    """Write the engine's form into an empty folder, and say what was found out about it."""
    import onnx

    engine = targets.engine_of(recipe.id)
    if engine == TENSORRT:  # before the work of the passes, which would be for nothing
        library()
        found_gpu = gpu()
        if recipe.precision == "float8":
            tensorrt.refuse_float8(found_gpu.capability if found_gpu else None)
    if subject.loop and engine != ONNX_RUNTIME:
        why = "a loop of decoding keeps its tensors in ONNX Runtime, so no other engine can take its place"
        return Evidence(CLAIM, objection=why)
    search = search or Search()
    notes = () if recipe.passes else search.refusals
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        model = subject.model()
        if recipe.passes:
            share = 1.0 if recipe.conversion.least_snr >= EXACT else HALF
            before = passed(Path(scratch), subject, recipe.passes, device, report, allow, search, share)
            if before.fault and not (before.unchanged and recipe.passes.least_snr >= EXACT):
                return before
            notes = before.notes
            if not before.unchanged:
                model = onnx.load(Path(scratch) / ONNX_FILE)
        noise = sorted({node.op_type for node in model.graph.node if node.op_type.startswith("Random")})
        if noise and engine != ONNX_RUNTIME:
            names = ", ".join(noise)
            why = f"it draws noise ({names}), and another engine draws other noise: nothing can be compared"
            return Evidence(CLAIM, objection=why, notes=notes)
        found = reference(subject, device, wanted(subject, recipe.passes))
        feeds = calibration(subject, found)
        report(0.3, recipe.conversion.name)
        written = Path(scratch) / "converted.onnx"
        onnx.save(named(model), written)
        material = Material(written, subject.signature, feeds, limits)
        try:
            if recipe.conversion.touches:
                kept, told = _searched(Path(scratch), material, subject, recipe, found, device, allow, search)
                material, notes = replace(material, kept=kept), (*notes, *told)
            notes += tuple(map(Note, recipe.conversion.write(material, folder)))
        except Unmended as error:
            return Evidence(CLAIM, objection=str(error), notes=notes)
        except SonorantError:
            raise
        except Exception as error:  # whatever a strange graph makes a library say
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return Evidence(CLAIM, objection=f"{recipe.conversion.name}: {said}", notes=notes)
        if engine == TENSORRT and not targets.described(engine, device):
            why = "it has not been run: there is no NVIDIA GPU here. Prepare it on the machine that serves it"
            return Evidence(CLAIM, objection=why, notes=notes)
        compared = folder
        if noise:  # two runs can be compared where both draw the same
            onnx.save(seeded(model), written)
            compared = Path(scratch) / "seeded"
            compared.mkdir()
            recipe.conversion.write(material, compared)
        chosen = bool(limits.axes)
        return _proven(folder, compared, subject, recipe, found, device, notes, report, chosen)


def _searched(
    scratch: Path,
    material: Material,
    subject: Subject,
    recipe: Converted,
    found: Reference,
    device: str,
    allow: str,
    search: Search,
) -> tuple[frozenset[str], tuple[Note, ...]]:
    """The nodes that stay as they are, and why: as passes find them, on the engine that serves."""
    import onnx

    engine = engine_on(subject, subject.model(), device)
    heard = pieces(subject, engine)
    engine.close()
    model = onnx.load(material.model)

    def version(kept: frozenset[str]) -> Path:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        recipe.conversion.write(replace(material, kept=kept), folder)
        return folder

    def loaded(folder: Path) -> Engine:
        """Each once: what is loaded needs its files no more."""
        try:
            return _loaded(folder, subject, recipe, device)
        finally:
            shutil.rmtree(folder)

    bench: Bench[Path] = Bench(
        loaded,
        found, recipe.conversion.least_snr, SEARCH_SECONDS, allow, heard,
    )  # fmt: skip
    work = multiplications(model, touched(model, recipe.conversion.touches), subject, found, device)
    return searched(recipe.conversion.name, work, version, bench, search)


def _proven(
    folder: Path,
    compared: Path,
    subject: Subject,
    recipe: Converted,
    found: Reference,
    device: str,
    notes: tuple[Note, ...],
    report: Report,
    chosen: bool,
) -> Evidence:
    """`chosen`: sizes are the user's, and what is beyond them is not compared: the source computes it."""
    report(0.7, "proving")
    made = partial(_loaded, compared, subject, recipe, device)
    try:
        engine = made()
    except SonorantError as error:
        return Evidence(CLAIM, objection=f"the engine does not take it: {error.why or error}", notes=notes)
    if chosen:
        found = _taken(engine, found)
        if not any(case.kind in ("real", "length") for case in found.cases):
            engine.close()
            why = "nothing that it is compared on is within the sizes of --profile"
            return Evidence(CLAIM, objection=why, notes=notes)
    comparisons = compared_on(engine, found)
    engine.close()
    least, partly = recipe.least_snr, recipe.of_tokens
    evidence = Evidence(CLAIM, comparisons=comparisons, least_snr=least, notes=notes, partial=partly)
    if evidence.fault:
        return evidence
    report(0.9, "measuring")
    figures = beside([partial(engine_on, subject, subject.model(), device), made], found.usual.feeds)
    written = sum(file.stat().st_size for file in folder.iterdir() if file.suffix != ".json")
    figures |= {SIZE: float(written), SOURCE_SIZE: float(size(subject.path))}
    return replace(evidence, figures=figures)


def _taken(engine: Engine, found: Reference) -> Reference:
    """What the engine is made for."""
    kept = []
    for case, outputs in zip(found.cases, found.outputs, strict=True):
        with suppress(SignatureError):
            engine.prepare(case.feeds)
            kept.append((case, outputs))
    return replace(found, cases=tuple(c for c, _ in kept), outputs=tuple(o for _, o in kept))


def _loaded(folder: Path, subject: Subject, recipe: Converted, device: str) -> Engine:
    """As it would serve."""
    options = OnnxRuntimeOptions({**subject.options, "log_severity_level": 4})
    engine = targets.load(folder, targets.engine_of(recipe.id), options, device)
    subject.signature.conforms(engine.inputs, engine.outputs, engine.source)
    return engine
