"""Looking at a folder: whose layout it has or nearly has, what is missing, what does not belong there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sonorant.doctor.model.files import MOST, files_of
from sonorant.doctor.model.finding import ERROR, NOTE, WARNING, Finding, some
from sonorant.errors import LayoutError, ModelError
from sonorant.families import FAMILIES, recognise
from sonorant.families.layouts import Layout, layouts

UNFINISHED = (".part", ".crdownload", ".aria2", ".incomplete", ".download", ".partial", ".!qb")
_LIBRARIES = (".so", ".dll", ".dylib")


def family_beside(path: Path) -> str:
    """The family that recognises the folder of a file; "" = none."""
    try:
        return recognise(path.parent).family
    except ModelError:
        return ""


def family_of(folder: Path) -> tuple[str, list[Finding]]:
    """The family that recognises it; "" and why none does."""
    try:
        return recognise(folder).family, []
    except LayoutError:
        return "", list(_unrecognised(folder))
    except ModelError as error:  # a family whose settings are wrong
        finding = Finding("settings-wrong", ERROR, error.what, error.why, error.remedy, ".")
        return "", [finding]


def _unrecognised(folder: Path) -> Iterator[Finding]:
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    for path in inside[:20]:
        try:
            family = recognise(path).family
        except ModelError:
            continue
        yield Finding(
            "wrong-level",
            ERROR,
            what=f"The model is one folder further down: {path.name}",
            why=f"A {family} model is in it",
            remedy="Name that folder",
            where=".",
        )
        return
    if near := _nearest(folder):
        family, layout = near
        lacking = layout.lacking(folder)
        yield Finding(
            "layout-incomplete",
            ERROR,
            what=f"It looks like a {family} model, but lacks {some(lacking, 5)}",
            why=_cause(folder, layout),
            remedy=f"Lay it out as {layout.origin} does, with these names",
            where=".",
        )
        return
    names = some((path.name for path in sorted(folder.iterdir())), 8) or "nothing"
    yield Finding(
        "layout-unknown",
        ERROR,
        what="No family recognises the folder",
        why=f"It holds {names}",
        remedy="Name a folder in its publisher's own layout; docs/models.md lists those that are recognised",
        where=".",
    )


def _nearest(folder: Path) -> tuple[str, Layout] | None:
    """The layout of which most is there, among those of which something typical is."""
    best: tuple[float, str, Layout] | None = None
    for name in FAMILIES:
        for layout in layouts(name):
            if not layout.hints(folder):
                continue
            share = 1 - len(layout.lacking(folder)) / len(layout.files)
            if best is None or share > best[0]:
                best = share, name, layout
    return best[1:] if best else None


def _cause(folder: Path, layout: Layout) -> str:
    there = {
        str(path.relative_to(folder)).lower(): str(path.relative_to(folder)) for path in files_of(folder)
    }
    for names in layout.files:
        for name in names:
            found = there.get(name.lower())
            if found and found != name:
                return f"{found} is there, but names are compared letter by letter"
    lacking = {name for alternatives in layout.lacking(folder) for name in alternatives.split(" or ")}
    for lower, found in there.items():
        if lower.rpartition("/")[2] in {name.rpartition("/")[2].lower() for name in lacking}:
            return f"{found} is there, but not in its place"
    return "It was downloaded in part, or files were renamed or moved"


def strays(folder: Path, files: list[Path]) -> Iterator[Finding]:
    """What a model's folder should not hold, or not like this."""
    name = {path: path.relative_to(folder).as_posix() for path in files}
    if not files:
        yield Finding(
            "empty-folder",
            ERROR,
            what="The folder is empty",
            why="The download never began, or went elsewhere",
            remedy="Download the model into it, or name the folder that it is in",
            where=".",
        )
    if unfinished := [name[p] for p in files if p.suffix.lower() in UNFINISHED]:
        yield Finding(
            "unfinished-download",
            ERROR,
            what=f"{len(unfinished)} downloads are not finished",
            why="The program that fetched them was ended or lost its connection",
            remedy="Let it go on, or delete these files and download again",
            where=some(unfinished),
        )
    if broken := [name[p] for p in files if p.is_symlink() and not p.exists()]:
        yield Finding(
            "broken-link",
            ERROR,
            what=f"{len(broken)} files are links to nothing",
            why="A folder of links, as Hugging Face's cache is, was copied or cleaned without their targets",
            remedy="Copy the folder with links followed (cp -rL), or download it again",
            where=some(broken),
        )
    if libraries := [name[p] for p in files if p.suffix.lower() in _LIBRARIES]:
        yield Finding(
            "native-library",
            WARNING,
            what=f"It holds machine code: {some(libraries)}",
            why="Perhaps a library of custom operators",
            remedy="Nothing here loads it; a model that needs it has to be exported without it",
            where=some(libraries),
        )
    if len(files) >= MOST:
        yield Finding(
            "many-files",
            NOTE,
            what=f"Only the first {MOST} files were looked at",
            why="The folder holds more than a model",
            remedy="Name the model's own folder",
            where=".",
        )
