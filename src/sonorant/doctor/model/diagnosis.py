"""The diagnosis of a model: what is meant, a child that looks, and what became of the child."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from sonorant.confined import confined
from sonorant.doctor.model import folder as folders
from sonorant.doctor.model.child import AGAIN, Named
from sonorant.doctor.model.files import files_of, size_of
from sonorant.doctor.model.finding import ERROR, Diagnosis, Facts, Finding, Severity
from sonorant.errors import EngineError, ModelFileError, UnknownModelError

if TYPE_CHECKING:
    from sonorant.catalogue import Catalogue

_LOOK = "sonorant.doctor.model.child:look"
_SECONDS, _BYTES_A_SECOND = 60.0, 20e6
"""a child may take: at the least, and more for the bytes that it reads"""
_MEMORY, _TIMES = 2 << 30, 4
"""bytes that it may have: at the least, and for each byte of the largest file"""
_CHILDREN = 4
"""one after the other, each without the step that ended the one before"""


def diagnose(
    model: str, catalogue: Catalogue, *, engine: str = "", given: str = "", device: str = "cpu"
) -> Diagnosis:
    """Of a file, a folder or a model of the catalogue, which comes before a folder of its name. Blocks.

    engine: "tensorrt" where it is to run there. given: "module:function" that writes what preparing gives the
    engine in a file's place, (file, folder) → file; "" = the engine is asked of the file alone. device: on
    which ONNX Runtime loads it, at the last. Raises ModelFileError where there is no such thing, and
    SettingsError for a card that is wrong.
    """
    path, known, again = _meant(model, catalogue)
    if path is None:
        return Diagnosis(model, "", (), (_not_here(again),))
    if path.is_symlink() and not path.exists():
        return Diagnosis(model, "", (), (folders.broken_link([path.name]),))
    arguments = {
        "path": str(path),
        "again": again,
        "known": [asdict(file) for file in known],
        "engine": engine,
        "given": given,
        "device": device,
    }
    outcome, ended = _looked(arguments, path)
    findings = [Finding(**{**f, "severity": Severity(f["severity"])}) for f in outcome["findings"]]
    files = tuple(
        Facts(**{**f, "inputs": tuple(f["inputs"]), "outputs": tuple(f["outputs"])}) for f in outcome["files"]
    )
    return Diagnosis(model, outcome["family"], files, (*ended, *findings))


def _meant(model: str, catalogue: Catalogue) -> tuple[Path | None, list[Named], str]:
    """Where it is (None: it was never pulled), what is known of its files, and how to get them again."""
    path = Path(model).expanduser()
    try:
        card = catalogue.find(model)
    except UnknownModelError as error:
        try:
            mode = path.stat().st_mode
        except PermissionError as refusal:
            raise ModelFileError(
                f"{model} cannot be looked at",
                why=f"A folder on the way to it is closed to this user: {refusal.strerror}",
                remedy="Give this user the right to enter it (chmod u+x), or run this as its owner",
            ) from refusal
        except OSError:  # it does not exist
            mode = 0
        if S_ISDIR(mode) or (path.is_symlink() and not mode):
            return path, [], AGAIN
        if S_ISREG(mode):
            return path, _known(path, catalogue), AGAIN
        if mode:
            raise ModelFileError(
                f"{model} is no file and no folder", remedy="Name a model's file or folder"
            ) from error
        raise ModelFileError(
            f"{model} is no file, no folder and no model of the catalogue",
            why=error.why,
            remedy="Check the path; `sonorant models` lists the catalogue",
        ) from error
    folder = catalogue.store.folder(card)
    files = [Named(file.name, file.sha256, file.size, file.optional) for file in card.files]
    again = f"Run `sonorant pull {card} --force`"
    return (folder if folder.is_dir() or not card.files else None), files, again


def _known(path: Path, catalogue: Catalogue) -> list[Named]:
    """The entry of a card for this very file, or for one of its name and size."""
    size = path.stat().st_size
    for card in catalogue.cards:
        for file in card.files:
            place = catalogue.store.folder(card) / file.name
            if place.resolve() == path.resolve() or (place.name == path.name and file.size == size):
                return [Named(path.name, file.sha256, file.size)]
    return []


def _looked(arguments: dict[str, Any], path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """What children saw, and what ended those that did not come back."""
    sizes = [size for p in [path, *files_of(path)] if (size := size_of(p)) is not None]
    seconds = _SECONDS + sum(sizes) / _BYTES_A_SECOND
    memory = _MEMORY + _TIMES * max(sizes, default=0)
    without: list[str] = []
    ended: list[Finding] = []
    step = ""

    def doing(_: float, what: str) -> None:
        nonlocal step
        step = what

    while len(without) < _CHILDREN:
        try:
            told = {**arguments, "without": without}
            return confined(
                _LOOK, told, title=f"Reading {path.name}",
                seconds=seconds, memory_bytes=memory, progress=doing,
            ), ended  # fmt: skip
        except EngineError as error:
            ended.append(_crashed(error, step))
            if step in ("", *without):  # it is no file's fault: another child would end alike
                break
            without.append(step)
    return {"family": "", "files": [], "findings": []}, ended


def _crashed(error: EngineError, step: str) -> Finding:
    what, _, name = step.partition(" ")
    if what == "load":
        return Finding(
            "engine-crashed",
            ERROR,
            what="ONNX Runtime ends, hangs or takes too much memory when it loads the file",
            why=f"{error.what}. {error.why}" if error.why else error.what,
            remedy="Do not serve it: it ends what loads it. Export it again, or update onnxruntime",
            where=name,
        )
    return Finding(
        "reader-crashed",
        ERROR,
        what="Reading it ended the process that read it",
        why=f"{error.what}. {error.why}" if error.why else error.what,
        remedy="The file is damaged, or made to do that; do not use it",
        where=name or ".",
    )


def _not_here(again: str) -> Finding:
    return Finding(
        "not-pulled",
        ERROR,
        what="The model is not on this machine",
        why="It was never pulled, or has been removed",
        remedy=again.replace(" --force", ""),
        where=".",
    )
