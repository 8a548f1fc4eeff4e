"""Looking at a folder: whose layout it has or nearly has, what is missing, what does not belong there."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from sonorant.doctor.model.faults import unreadable
from sonorant.doctor.model.files import MOST, files_of
from sonorant.doctor.model.finding import ERROR, NOTE, WARNING, Finding, some
from sonorant.errors import LayoutError, ModelError
from sonorant.families import FAMILIES, recognise
from sonorant.families.layouts import Layout, layouts

_MOST_FOLDERS = 50
"""below the folder that are looked at for a model"""
UNFINISHED = (".part", ".crdownload", ".aria2", ".incomplete", ".download", ".partial", ".!qb")
_LIBRARIES = (".so", ".dll", ".dylib")


def recognised(folder: Path) -> str:
    """The family that recognises it; "" = none."""
    try:
        return recognise(folder).family
    except (ModelError, OSError):
        return ""


def family_of(folder: Path, files: list[Path]) -> tuple[str, list[Finding]]:
    """The family that recognises it; "" and why none does. `files`: those in it."""
    try:
        return recognise(folder).family, []
    except LayoutError:
        return "", [_unrecognised(folder, files)]
    except ModelError as error:  # a family whose settings are wrong
        return "", [_refused(error)]
    except OSError as error:
        return "", [closed(folder, error)]


def closed(folder: Path, error: OSError) -> Finding:
    """What the system does not let this user look into."""
    place = Path(error.filename or folder)
    while place != folder and place.is_relative_to(folder) and not _is_seen(place):
        place = place.parent  # a folder that may be listed, and not entered
    where = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else place.name
    return unreadable(where, error)


def _is_seen(path: Path) -> bool:
    try:
        path.lstat()
    except PermissionError:
        return False
    return True


def _unrecognised(folder: Path, files: list[Path]) -> Finding:
    below = _below(folder, files)
    models = {place: family for place in below if (family := recognised(place))}
    if models:
        names = [place.relative_to(folder).as_posix() for place in models]
        return Finding(
            "wrong-level",
            ERROR,
            what=f"The model is in a folder further down: {names[0]}"
            if len(names) == 1
            else f"{len(names)} models are in folders further down: {some(names)}",
            why=f"Recognised there: {some(sorted({*models.values()}))}",
            remedy="Name that folder" if len(names) == 1 else "Name one of these folders",
            where=".",
        )
    for place in (folder, *below):
        if near := _nearest(place):
            return _incomplete(place, *near, "." if place == folder else place.relative_to(folder).as_posix())
    names = [path.name for path in sorted(folder.iterdir())]
    return Finding(
        "layout-unknown",
        ERROR,
        what="No family recognises the folder",
        why=f"It holds {some(names, 8) or 'nothing'}",
        remedy="Name a folder in its publisher's own layout; docs/models.md lists those that are recognised",
        where=".",
    )


def _below(folder: Path, files: list[Path]) -> list[Path]:
    """The folders in it that hold anything, those next to it first."""
    found = {parent for file in files for parent in file.parents if folder in parent.parents}
    return sorted(found, key=lambda place: (len(place.parts), place))[:_MOST_FOLDERS]


def _incomplete(folder: Path, family: str, layout: Layout, where: str) -> Finding:
    lacking = layout.lacking(folder)
    if not lacking:
        try:
            layout.accepted(folder)
        except ModelError as error:
            return _refused(error, where)
        except OSError as error:
            return closed(folder, error)
    return Finding(
        "layout-incomplete",
        ERROR,
        what=f"It looks like a {family} model, but lacks {some(lacking, 5)}"
        if lacking
        else f"It has the files of a {family} model, but is not recognised as one",
        why=_cause(folder, layout),
        remedy=f"Lay it out as {layout.origin} does, with these names",
        where=where,
    )


def _refused(error: ModelError, where: str = ".") -> Finding:
    code = "layout-incomplete" if isinstance(error, LayoutError) else "settings-wrong"
    return Finding(code, ERROR, error.what, error.why, error.remedy, where)


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
    for pattern in layout.typical:  # those in a folder tell best what belongs there
        inside, _, name = pattern.rpartition("/")
        if inside and (strayed := [found for found in there.values() if fnmatch(Path(found).name, name)]):
            return f"{some(strayed)} should be in the folder {inside}"
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
    if broken := [name[p] for p in files if _dangles(p)]:
        yield broken_link(broken)
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


def broken_link(names: list[str]) -> Finding:
    """Links whose targets are not there."""
    return Finding(
        "broken-link",
        ERROR,
        what=f"{len(names)} files are links to nothing",
        why="A folder of links, as Hugging Face's cache is, was copied or cleaned without their targets",
        remedy="Copy the folder with links followed (cp -rL), or download it again",
        where=some(names),
    )


def _dangles(path: Path) -> bool:
    try:
        return path.is_symlink() and not path.exists()
    except OSError:  # what it leads to may not be asked
        return False
