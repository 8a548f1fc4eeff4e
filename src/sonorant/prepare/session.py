"""From the name of a model to artefacts with their proofs: each step in a child, under limits."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sonorant.catalogue.digests import sha256
from sonorant.confined import Progress, confined
from sonorant.errors import EngineError, ModelFileError, RequestError, SonorantError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.networks.prepared import SPEED
from sonorant.networks.proof import Quality
from sonorant.networks.signature import Axis
from sonorant.prepare import SECONDS
from sonorant.prepare.convert.kinds import Limits
from sonorant.prepare.gate import check_allowed
from sonorant.prepare.recipes import Converted, Way
from sonorant.prepare.subject import Subject
from sonorant.settings import Settings

EXPORT = "export"
"""what is asked for beside passes: a torch checkpoint to ONNX"""
AGAIN = 3
"""times that a search of layers is asked for fewer, where the gate refuses what it found"""

Failed = Mapping[str, Sequence[float]]
"""figure that the gate refused → its value, and what it may be"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be prepared, and how."""

    model: str
    """a name of the catalogue, a folder, or an .onnx file"""
    recipes: tuple[Way, ...]
    export: bool = False
    """torch checkpoints to ONNX, by itself; recipes do it first where it is needed"""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """of a bare file's axes"""
    recordings: tuple[Path, ...] = ()
    texts: tuple[Path, ...] = ()
    """in the languages that stay, where tokens are taken out; () = those that come along"""
    seconds: float = SECONDS
    memory_bytes: int = 0
    """0 = a share of the machine's"""
    again: bool = False
    """also what has been made before"""
    limits: Limits = field(default_factory=Limits)
    """of TensorRT's and LiteRT's files; others than the usual ones make them again"""
    allow: str = ""
    """a precision that may lose more than others: the gate's wider bounds for it"""

    @property
    def bare(self) -> bool:
        """Whether it is a file, which is not served."""
        return self.model.endswith(".onnx")


@dataclass(frozen=True, slots=True)
class Row:
    """One network prepared in one way."""

    network: str
    recipe: str
    artefact: Artefact | None
    """proven or not; None = nothing could be made"""
    error: SonorantError | None = None
    part: bool = False
    """of a network that was cut"""

    @property
    def unjudged(self) -> bool:
        """Whether somebody must listen to it before it serves."""
        if self.artefact is None:
            return False
        proof = self.artefact.proof
        return proof.holds and not proof.served and proof.evidence.heard == "not measured"

    @property
    def disliked(self) -> bool:
        """Whether it is proven, and not good enough for the gate."""
        proof = self.artefact.proof if self.artefact else None
        return bool(proof and proof.holds and not proof.served and proof.evidence.heard == "failed")

    @property
    def unchanged(self) -> bool:
        """Whether the recipe finds nothing in the network that it would change."""
        return bool(self.artefact and self.artefact.proof.evidence.unchanged)

    @property
    def refused(self) -> bool:
        """Whether it is kept out of serving: not proven, or not good enough for the gate."""
        proof = self.artefact.proof if self.artefact else None
        return proof is None or not (proof.served or self.unjudged or self.unchanged)

    @property
    def speed(self) -> float:
        """Times the source's; 0 = not measured."""
        return self.artefact.proof.evidence.figures.get(SPEED, 0.0) if self.artefact else 0.0


def prepare(asked: Asked, settings: Settings, progress: Progress | None = None) -> list[Row]:
    """Every network by every recipe. Raises what reading the model raises, and RequestError at once for what
    cannot be asked for."""
    check_allowed(asked.allow)
    exports = list(_exported(asked, settings, progress)) if asked.export else []
    if not asked.recipes:
        return exports
    with read(asked, settings, progress) as folders:
        subjects = [(folder, Subject.read(folder)) for folder in folders]
        _check(asked.limits, [subject for _, subject in subjects])
        rows = [
            row for recipe in asked.recipes for row in _prepared(asked, settings, recipe, subjects, progress)
        ]
    return [*exports, *rows]


def fruitless(rows: Sequence[Row]) -> list[str]:
    """Recipes that found nothing to change in any network."""
    recipes = dict.fromkeys(row.recipe for row in rows)
    return [recipe for recipe in recipes if all(row.unchanged for row in rows if row.recipe == recipe)]


def _prepared(
    asked: Asked,
    settings: Settings,
    recipe: Way,
    subjects: Sequence[tuple[Path, Subject]],
    progress: Progress | None,
) -> list[Row]:
    """Every network by one recipe, and what the gate says of all together.

    Where it refuses them, a search of layers is asked for fewer: it hears less than the gate.
    """
    artefacts = _artefacts(settings)
    rows = []
    if recipe.of_tokens and (saying := [each for each in subjects if each[1].tokens]):
        subjects = saying  # others have no tokens to be taken out
    for folder, subject in subjects:
        kept = artefacts.kept(subject.path, "prepared", recipe.id)
        if kept is not None and _as_asked(asked, recipe, kept):
            rows.append(Row(subject.name, recipe.name, kept, part=subject.part))
        else:
            rows.append(_made(asked, settings, subject, folder, recipe, progress))
    if asked.bare:
        return rows
    rows, failed = _judged(asked, settings, recipe, rows, progress)
    for _ in range(AGAIN if recipe.searched else 0):
        if not failed:
            break
        rows = [
            _made(asked, settings, subject, folder, recipe, progress, failed) if row.disliked else row
            for row, (folder, subject) in zip(rows, subjects, strict=True)
        ]
        rows, failed = _judged(asked, settings, recipe, rows, progress)
    return rows


def _exported(asked: Asked, settings: Settings, progress: Progress | None) -> Iterator[Row]:
    artefacts = _artefacts(settings)
    arguments = {"model": asked.model, "settings": settings.model_dump(mode="json")}
    for made in _child("export", arguments, asked, progress, f"Exporting {asked.model}"):
        path = Path(made["path"])
        yield Row(path.name, EXPORT, artefacts.kept(path, "export", made["recipe"]))


def _judged(
    asked: Asked, settings: Settings, recipe: Way, rows: list[Row], progress: Progress | None
) -> tuple[list[Row], Failed]:
    """The same with what was measured of the model on all artefacts of a recipe together, and what failed."""
    concerned = [row for row in rows if row.unjudged]
    if not concerned:
        return rows, {}
    arguments = {"model": asked.model, "settings": settings.model_dump(mode="json")}
    arguments |= {"recipe_id": recipe.id, "allow": asked.allow}
    title = f"Comparing {asked.model} with {recipe.name}"
    try:
        found = Quality.of(_child("listen", arguments, asked, progress, title, recipe.name))
    except SonorantError as error:
        return [replace(row, error=error) if row in concerned else row for row in rows], {}
    artefacts = _artefacts(settings)
    judged = [
        replace(row, artefact=artefacts.judged(row.artefact, found))
        if row in concerned and row.artefact
        else row
        for row in rows
    ]
    return judged, {each.figure: (each.value, each.bound) for each in found.failed}


@contextmanager
def read(asked: Asked, settings: Settings, progress: Progress | None = None) -> Iterator[list[Path]]:
    """Folders of the model's networks (`Subject.read`), gone when this is left.

    Raises ModelFileError where none of them is an .onnx file, RequestError for recordings that are no files,
    and what loading it raises.
    """
    _check_files(asked)
    with tempfile.TemporaryDirectory(prefix="sonorant-") as name:
        if asked.bare:
            arguments: dict[str, Any] = {
                "path": asked.model,
                "sizes": dict(asked.sizes),
                "device": settings.device,
            }
            target, title = "read_file", f"Reading {Path(asked.model).name}"
        else:
            arguments = {"model": asked.model, "settings": settings.model_dump(mode="json")}
            arguments |= {"recordings": [str(path.resolve()) for path in asked.recordings]}
            arguments |= {"texts": [str(path.resolve()) for path in asked.texts]}
            target, title = "read_model", f"Running {asked.model}"
        arguments["folder"] = name
        found: Sequence[str] = _child(target, arguments, asked, progress, title)
        if not found:
            raise ModelFileError(
                f"{asked.model} has no network in an .onnx file, which is what the passes work on",
                why="Its networks are .ort files, or a library's own",
                remedy="Prepare another model",
            )
        yield [Path(name) / each for each in found]


def kept(asked: Asked, settings: Settings, progress: Progress | None = None) -> Iterator[Row]:
    """What has been made of the model's networks before."""
    artefacts = _artefacts(settings)
    with read(asked, settings, progress) as subjects:
        for folder in subjects:
            subject = Subject.read(folder)
            for artefact in artefacts.all(subject.path, "prepared"):
                recipe = artefact.proof.bindings.recipe.partition(".")[2]
                yield Row(subject.name, recipe, artefact, part=subject.part)


def _made(
    asked: Asked,
    settings: Settings,
    subject: Subject,
    folder: Path,
    recipe: Way,
    progress: Progress | None,
    refused: Failed | None = None,
) -> Row:
    """`refused`: what failed when the gate heard what was made last."""
    home, artefacts = _home(settings), _artefacts(settings)
    arguments: dict[str, Any] = {"folder": str(folder), "to": recipe.name}
    arguments |= {"home": str(home), "device": settings.device}
    cache = home / "artefacts" / "tensorrt-timings"
    limits = asdict(replace(asked.limits, timing_cache=str(cache)))
    arguments |= {"allow": asked.allow, "limits": limits, "refused": refused or {}}
    of = f"{subject.name} again, as {', '.join(refused)} failed" if refused else subject.name
    try:
        title = f"Preparing {subject.name} with {recipe.name}"
        _child("make_one", arguments, asked, progress, title, of)
    except SonorantError as error:
        return Row(subject.name, recipe.name, None, error, part=subject.part)
    made = artefacts.kept(subject.path, "prepared", recipe.id)
    if made is None:
        lost = EngineError("What was made cannot be found again", remedy="Look at the disk, and try again")
        return Row(subject.name, recipe.name, None, lost, part=subject.part)
    if by := _beside(asked, recipe):
        made = artefacts.asked(made, by)
    return Row(subject.name, recipe.name, made, part=subject.part)


def _check_files(asked: Asked) -> None:
    """Raises for what is there and no file: a pipe would be waited for."""
    if asked.bare and Path(asked.model).exists() and not Path(asked.model).is_file():
        raise ModelFileError(f"{asked.model} is no file", remedy="Name a model's file or folder")
    for param, paths in (("recording", asked.recordings), ("texts", asked.texts)):
        if missing := next((path for path in paths if not path.is_file()), None):
            raise RequestError(f"There is no file {missing}", remedy="Check the path", param=param)


def _check(limits: Limits, subjects: Sequence[Subject]) -> None:
    """Raises RequestError for an axis that no network has."""
    known = {d.name for s in subjects for t in s.signature.inputs for d in t.dims if isinstance(d, Axis)}
    if unknown := sorted(set(limits.axes) - known):
        raise RequestError(
            f"No network of it has an axis {unknown[0]!r}",
            remedy=f"Their axes: {', '.join(sorted(known))}",
            param="profile",
        )


def _beside(asked: Asked, recipe: Way) -> str:
    """What is asked for beside the recipe, as proofs keep it."""
    built = isinstance(recipe, Converted) and recipe.conversion.name in ("tensorrt", "litert")
    told = {
        "sizes": dict(sorted(asked.sizes.items())),
        "recordings": [sha256(path) for path in asked.recordings],
        "texts": [sha256(path) for path in asked.texts] if recipe.of_tokens else [],
        "limits": asdict(asked.limits) if built and asked.limits != Limits() else {},
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest() if any(told.values()) else ""


def _as_asked(asked: Asked, recipe: Way, kept: Artefact) -> bool:
    """Whether what was made before is what would be made now."""
    if asked.again or kept.proof.evidence.asked != _beside(asked, recipe):
        return False
    if asked.allow and recipe.searched and not kept.proof.holds:
        return False  # with wider bounds more may be found
    quality = kept.proof.evidence.quality
    if quality is None or quality.outcome == "not measured" or quality.allowed == asked.allow:
        return True
    # what is good enough by the usual bounds is so by wider ones
    return quality.passed and not quality.allowed


def _child(
    target: str,
    arguments: Mapping[str, object],
    asked: Asked,
    progress: Progress | None,
    title: str,
    of: str = "",
) -> Any:
    def told(share: float, doing: str) -> None:
        if progress:
            progress(share, f"{of}: {doing}" if of else doing)

    return confined(
        f"sonorant.prepare.child:{target}",
        arguments,
        title=title,
        seconds=asked.seconds,
        memory_bytes=asked.memory_bytes,
        progress=told,
    )


def _home(settings: Settings) -> Path:
    return settings.catalogue.home.expanduser()


def _artefacts(settings: Settings) -> Artefacts:
    return Artefacts(_home(settings), described(settings.device), settings.device)
