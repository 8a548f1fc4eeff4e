"""One artefact for another engine: passes, the conversion, the proof, and what it gains."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.errors import SonorantError
from sonorant.networks import targets
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.prepared import MODEL, SIZE, SOURCE_SIZE
from sonorant.networks.proof import Evidence
from sonorant.networks.targets import ONNX_RUNTIME, TENSORRT
from sonorant.prepare.convert.dense import dense
from sonorant.prepare.convert.kinds import Limits, Material
from sonorant.prepare.making import CALIBRATION, Report, beside
from sonorant.prepare.making import derive as passed
from sonorant.prepare.parity import Reference, compared_on, engine_on, reference, seed
from sonorant.prepare.recipes import Converted
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto

CLAIM = "another engine on the converted graph, against ONNX Runtime on the publisher's"


def convert(
    subject: Subject,
    recipe: Converted,
    artefacts: Artefacts,
    device: str = "cpu",
    report: Report = lambda *_: None,
    limits: Limits | None = None,
) -> Artefact:
    """Derive, prove and keep it, whether the proof holds or not.

    Raises SonorantError where nothing can be made of this file at all: the engine is not installed, or does
    not take it.
    """

    def make(folder: Path) -> Evidence:
        chosen = replace(limits or Limits(), home=str(artefacts.home))
        return derive(folder, subject, recipe, device, report, chosen)

    return artefacts.make(subject.path, "prepared", recipe.id, make)


def derive(
    folder: Path, subject: Subject, recipe: Converted, device: str, report: Report, limits: Limits
) -> Evidence:
    """Write the engine's form into an empty folder, and say what was found out about it."""
    import onnx

    engine = targets.engine_of(recipe.id)
    notes: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        model = subject.model()
        if recipe.passes:
            before = passed(Path(scratch), subject, recipe.passes, device, report)
            if before.fault:
                return before
            model, notes = onnx.load(Path(scratch) / MODEL), before.notes
        noise = sorted({node.op_type for node in model.graph.node if node.op_type.startswith("Random")})
        if noise and engine != ONNX_RUNTIME:
            drawn = f"it draws noise ({', '.join(noise)})"
            why = f"{drawn}, and another engine draws other noise: nothing can be compared"
            return Evidence(CLAIM, objection=why, notes=notes)
        found = reference(subject, device)
        feeds = (*subject.recorded[:CALIBRATION], *found.solo) if subject.recorded else ()
        report(0.3, recipe.conversion.name)
        written = Path(scratch) / "converted.onnx"
        onnx.save(dense(model) if engine == TENSORRT else model, written)
        material = Material(written, subject.signature, feeds, limits)
        try:
            notes += recipe.conversion.write(material, folder)
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
            onnx.save(_seeded(model), written)
            compared = Path(scratch) / "seeded"
            compared.mkdir()
            recipe.conversion.write(material, compared)
        return _proven(folder, compared, subject, recipe, found, device, notes, report)


def _proven(
    folder: Path,
    compared: Path,
    subject: Subject,
    recipe: Converted,
    found: Reference,
    device: str,
    notes: tuple[str, ...],
    report: Report,
) -> Evidence:
    report(0.7, "proving")
    made = partial(_loaded, compared, subject, recipe, device)
    try:
        engine = made()
    except SonorantError as error:
        return Evidence(CLAIM, objection=f"the engine does not take it: {error.why or error}", notes=notes)
    comparisons = compared_on(engine, found)
    engine.close()
    evidence = Evidence(CLAIM, comparisons=comparisons, least_snr=recipe.least_snr, notes=notes)
    if evidence.fault:
        return evidence
    report(0.9, "measuring")
    figures = beside([partial(engine_on, subject, subject.model(), device), made], found.usual.feeds)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.suffix != ".json")
    figures |= {SIZE: float(size), SOURCE_SIZE: float(subject.path.stat().st_size)}
    return replace(evidence, figures=figures)


def _loaded(folder: Path, subject: Subject, recipe: Converted, device: str) -> Engine:
    """As it would serve."""
    options = OnnxRuntimeOptions({**subject.options, "log_severity_level": 4})
    engine = targets.load(folder, targets.engine_of(recipe.id), options, device)
    subject.signature.conforms(engine.inputs, engine.outputs, engine.source)
    return engine


def _seeded(model: ModelProto) -> ModelProto:
    seeded = type(model)()
    seeded.CopyFrom(model)
    seed(seeded)
    return seeded
