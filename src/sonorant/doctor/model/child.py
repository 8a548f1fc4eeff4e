"""What runs in the child process: all the looking. Its arguments and its result are JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sonorant.confined import report
from sonorant.doctor.model import folder as folders
from sonorant.doctor.model import kinds, protobuf, settings_files, weights
from sonorant.doctor.model.faults import damaged, unreadable
from sonorant.doctor.model.files import files_of, size_of
from sonorant.doctor.model.finding import ERROR, WARNING, Facts, Finding, Seen, Severity, Subject, Target
from sonorant.doctor.model.kinds import Kind
from sonorant.errors import ModelError
from sonorant.families.layouts import NetworkFile, SettingsFile, WeightsFile, expected

AGAIN = "Fetch the file again from where it came, and compare its size with the one given there"
_HEAD = 1 << 16
_SETTINGS = (".json", ".yaml", ".yml")
_ANYTHING = (".bin", "")
"""endings under which models are published, of any kind"""
_ABOUT = (".md", ".rst", ".py", ".html", ".htm", ".css", ".js", ".ipynb", ".log")
_ABOUT_NAMES = ("readme", "license", "licence", "notice", "copying", "changelog")
"""texts about a model, and what repositories hold: they may be empty, and speak of errors"""
_PROVIDER = ("provider-missing", "provider-fell-back")
_NO_FILE = ("settings-broken", "lfs-pointer", "web-page", "error-message", "empty-file", "zero-bytes")
"""of a file that a family cannot read either: it is told once"""


@dataclass(frozen=True, slots=True)
class Named:
    """A file that the card of the model names."""

    name: str
    sha256: str
    size: int
    optional: bool = False


@dataclass(slots=True)
class _Patient:
    """The file or folder, and what is known of it beforehand."""

    root: Path
    again: str
    cards: dict[str, Named]
    target: Target
    device: str
    subjects: list[Subject] = field(default_factory=list)
    family: str = ""
    networks: dict[Path, NetworkFile] = field(default_factory=dict)
    """what the family runs"""
    weights: dict[Path, WeightsFile] = field(default_factory=dict)
    """and what it loads into a network of its own"""


def look(
    path: str,
    *,
    again: str = AGAIN,
    known: Sequence[dict[str, Any]] = (),
    engine: str = "",
    given: str = "",
    device: str = "cpu",
    without: Sequence[str] = (),
) -> dict[str, Any]:
    """A file, or all of a folder.

    again: the remedy that fetches a file anew. known: the fields of each `Named`, where it is a model of the
    catalogue. engine: "tensorrt" where it is to run there; given: as of `diagnose`. without: steps to leave
    out, since they ended an earlier child.
    """
    cards = {file["name"]: Named(**file) for file in known}
    patient = _Patient(Path(path), again, cards, Target(engine, given), device)
    seen = list(_whole(patient))
    for done, subject in enumerate(patient.subjects):
        for part, (step, work) in enumerate(
            ((f"read {subject.name}", _file), (f"load {subject.name}", _session))
        ):
            report((done + part / 2) / len(patient.subjects), step)
            if step in without:
                continue
            try:
                for one in work(patient, subject, seen):
                    seen.append(one)  # noqa: PERF402 - those before an exception stay
            except Exception as error:  # what no reader thought of, in a file that is damaged or made for it
                seen.append(damaged(subject, f"Reading it fails: {type(error).__name__}: {error}"))
    return {
        "family": patient.family,
        "files": [asdict(one) for one in seen if isinstance(one, Facts)],
        "findings": [asdict(finding) for finding in _once(seen)],
    }


def _once(seen: list[Seen]) -> list[Finding]:
    """The findings, the worst first, without what follows from another."""
    findings = list(dict.fromkeys(one for one in seen if isinstance(one, Finding)))
    unread = {finding.where for finding in findings if finding.code in _NO_FILE}
    told = [f for f in findings if f.code != "settings-wrong" or not unread or f.where not in {".", *unread}]
    return sorted(told, key=lambda finding: list(Severity).index(finding.severity))


def _whole(patient: _Patient) -> Iterator[Seen]:
    """What is to be said of the folder; fills in the patient."""
    root, again = patient.root, patient.again
    if root.is_dir():
        shut: list[OSError] = []
        files = files_of(root, shut.append)
        yield from (folders.closed(root, error) for error in shut)
        if shut and not files:
            return
        yield from folders.strays(root, files)
        patient.subjects = [
            Subject(p, p.relative_to(root).as_posix(), again) for p in files if size_of(p) is not None
        ]
        for file in patient.cards.values():
            if not file.optional and size_of(root / file.name) is None:
                yield Finding(
                    "file-missing",
                    ERROR,
                    what=f"{file.name} is missing",
                    why="The model was pulled in part, or files were moved",
                    remedy=again,
                    where=file.name,
                )
        patient.family, why_not = folders.family_of(root, files) if files else ("", [])
        # of a card's files each is known by its hash; and what seems to be missing may be what is closed
        yield from () if patient.cards or shut else why_not
    else:
        patient.subjects = [Subject(root, root.name, again)]
        patient.family = folders.recognised(root.parent)
    folder = root if root.is_dir() else root.parent
    try:
        for one in expected(patient.family, folder) if patient.family else ():
            if isinstance(one, NetworkFile):
                patient.networks[one.path.resolve()] = one
            elif isinstance(one, WeightsFile):
                patient.weights[one.path.resolve()] = one
            elif root.is_dir():
                yield from _settings(one, root)
    except ModelError as error:
        yield Finding("settings-wrong", ERROR, error.what, error.why, error.remedy, ".")
    except OSError as error:
        yield folders.closed(folder, error)
    if not root.is_dir() and root.resolve() not in patient.networks | patient.weights:
        patient.family = ""


def _settings(file: SettingsFile, root: Path) -> Iterator[Finding]:
    try:
        file.read(file.path)
    except ModelError as error:
        where = file.path.relative_to(root).as_posix()
        if not isinstance(error.__cause__, OSError):  # which reading it tells
            yield Finding("settings-wrong", ERROR, error.what, error.why, error.remedy, where)
    except OSError:
        return


def _file(patient: _Patient, subject: Subject, before: list[Seen]) -> Iterator[Seen]:
    """What its bytes tell, and its card."""
    card = patient.cards.get(subject.name)
    try:
        found = list(_read(patient, subject))
        published = card is not None and not any(map(_is_fault, found))
        if card and published:
            found += _compared(subject, card)
            published = not any(map(_is_fault, found))
    except OSError as error:
        yield unreadable(subject.name, error)
        return
    for one in found:
        if published and isinstance(one, Finding) and one.code in weights.CODES:
            yield replace(one, severity=WARNING)  # whatever it holds, it was meant so
        else:
            yield one


def _is_fault(one: Seen) -> bool:
    """Something that no publisher means; values may be meant."""
    return isinstance(one, Finding) and one.severity is ERROR and one.code not in weights.CODES


def _compared(subject: Subject, card: Named) -> Iterator[Finding]:
    with subject.path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != card.sha256:
        yield Finding(
            "hash-mismatch",
            ERROR,
            what="It is not the file that the catalogue knows",
            why=f"It has {subject.size} bytes with the sha256 {digest[:16]}…, and that has {card.size} bytes "
            f"with {card.sha256[:16]}…",
            remedy=subject.again,
            where=subject.name,
        )


def _read(patient: _Patient, subject: Subject) -> Iterator[Seen]:
    head = subject.head(_HEAD)
    beside = patient.root.is_dir() and subject.name not in patient.cards and _is_about(subject.path)
    if not beside and (faults := list(kinds.mistaken(subject, head))):
        yield from faults
        return
    ending = subject.path.suffix.lower()
    if ending in _SETTINGS:
        recognised = bool(patient.family)
        yield from settings_files.look(subject.path, subject.name, recognised=recognised)
        return
    kind = kinds.kind_of(head, subject.size) or kinds.disguised(subject)
    weights_file = patient.weights.get(subject.path.resolve())
    wanted = weights_file.kinds if weights_file else kinds.BY_ENDING.get(ending, ())
    if wanted == (Kind.TENSORRT,) and kind not in list(Kind):
        kind = Kind.TENSORRT  # not every version's engines begin with a mark that is known
    chosen = bool(wanted) or not (patient.root.is_dir() or subject.name in patient.cards)
    if chosen:
        yield from kinds.misnamed(subject, kind, wanted)
    elif ending in folders.UNFINISHED:
        return
    found = _format(subject, kind, patient)
    if chosen or ending in _ANYTHING:
        yield from found
    elif kind != Kind.ONNX or _is_surely_onnx(subject):
        # a folder may hold archives of anything beside its model
        yield from (one for one in found if not isinstance(one, Finding) or one.code != "packed")


def _is_about(path: Path) -> bool:
    name = path.name.lower()
    return name.startswith((".", *_ABOUT_NAMES)) or path.suffix.lower() in _ABOUT


def _is_surely_onnx(subject: Subject) -> bool:
    with subject.path.open("rb") as stream:
        return protobuf.is_surely_model(stream, subject.size)


def _format(subject: Subject, kind: str, patient: _Patient) -> Iterator[Seen]:
    from sonorant.doctor.model import (
        checkpoint,
        ctranslate2,
        litert,
        onnx_file,
        ort_file,
        safetensors,
        tensorrt,
    )

    network = patient.networks.get(subject.path.resolve())
    beside = patient.weights.get(subject.path.resolve())
    match kind:
        case Kind.ONNX:
            yield from onnx_file.look(subject, replace(patient.target, cut=network.cut if network else ""))
        case Kind.ORT:
            yield from ort_file.look(subject)
        case Kind.ZIP:
            yield from checkpoint.look_zip(subject, beside)
        case Kind.PICKLE:
            yield from checkpoint.look_pickle(subject, beside)
        case Kind.SAFETENSORS:
            yield from safetensors.look(subject)
        case Kind.TFLITE:
            yield from litert.look(subject)
        case Kind.CTRANSLATE2:
            yield from ctranslate2.look(subject)
        case Kind.TENSORRT:
            yield from tensorrt.look(subject)


def _session(patient: _Patient, subject: Subject, seen: list[Seen]) -> Iterator[Seen]:
    """Loaded, where it is an .onnx or .ort file without a fault but in its values."""
    findings = [one for one in seen if isinstance(one, Finding)]
    readable = any(
        isinstance(s, Facts) and s.file == subject.name and s.kind in ("ONNX", "ORT") for s in seen
    )
    faulty = any(_is_fault(f) and f.where.partition(": ")[0] == subject.name for f in findings)
    if readable and not faulty and not any(finding.code in _PROVIDER for finding in findings):
        from sonorant.doctor.model import session

        yield from session.load(subject, patient.device, patient.networks.get(subject.path.resolve()))
