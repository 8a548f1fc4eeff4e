"""What is done in a child process (`confined`): it reads files that nobody has vetted, and takes its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sonorant.confined import report
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.prepare.convert.kinds import Limits
from sonorant.prepare.convert.making import convert
from sonorant.prepare.layers import Search
from sonorant.prepare.making import make
from sonorant.prepare.recipes import Converted, way
from sonorant.prepare.subject import Subject


def read_file(path: str, sizes: Mapping[str, int], device: str, folder: str) -> list[str]:
    """Find out what a bare .onnx file takes; the folders of its one subject."""
    from sonorant.prepare.graph import subject

    subject(Path(path), sizes, device).save(Path(folder) / "0")
    return ["0"]


def read_model(
    model: str, settings: Mapping[str, Any], recordings: list[str], folder: str, texts: list[str]
) -> list[str]:
    """Load a served model, let it speak or listen; the folders of its networks that are .onnx files."""
    from sonorant.catalogue import Catalogue
    from sonorant.prepare.record import subjects
    from sonorant.settings import Settings

    chosen = Settings.model_validate(settings)
    files = tuple(map(Path, recordings))
    catalogue, options = Catalogue(chosen.catalogue), dict(chosen.onnxruntime)
    written = tuple(map(Path, texts))
    found = subjects(model, catalogue, chosen.device, options, files, report, written)
    for i, subject in enumerate(found):
        subject.save(Path(folder) / str(i))
    return [str(i) for i in range(len(found))]


def export(model: str, settings: Mapping[str, Any]) -> list[dict[str, str]]:
    """Export the torch checkpoints of a model: of each its path and the recipe of what was made."""
    from sonorant.prepare.checkpoints import export_model
    from sonorant.settings import Settings

    return export_model(model, Settings.model_validate(settings), report)


def listen(model: str, settings: Mapping[str, Any], recipe_id: str, allow: str) -> dict[str, Any]:
    """The model on the artefacts of a recipe beside the publisher's own."""
    from sonorant.prepare.judging import listened
    from sonorant.settings import Settings

    return listened(model, Settings.model_validate(settings), recipe_id, allow, report)


def make_one(
    folder: str,
    to: str,
    home: str,
    device: str,
    allow: str,
    limits: Mapping[str, Any],
    refused: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Derive and prove one artefact; where it is kept.

    `refused`: figure → its value and its bound, where the gate refused what was made last; what is known of
    layers is kept in `folder` meanwhile.
    """
    subject, recipe = Subject.read(Path(folder)), way(to)
    artefacts = Artefacts(Path(home), described(device), device)
    known = Path(folder) / f"{recipe.name}.layers.json"
    search = Search.read(known)
    if refused:
        search.refused(refused)
    if isinstance(recipe, Converted):
        axes = {name: (low, usual, high) for name, (low, usual, high) in limits["axes"].items()}
        built_for = Limits(axes, limits["workspace_bytes"], limits["timing_cache"])
        artefact = convert(subject, recipe, artefacts, device, report, built_for, allow, search)
    else:
        artefact = make(subject, recipe, artefacts, device, report, allow, search)
    search.save(known)
    return {"folder": str(artefact.folder)}
