"""What of the installed libraries does not fit together, by the rules of compatibility.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from sonorant.doctor.environment import Environment
from sonorant.doctor.fatbin import runs_on
from sonorant.doctor.said import Text, filled, table

Level = Literal["error", "warning"]

SONORANT = "Sonorant"
_STANDS_IN = {"onnxruntime": ("onnxruntime-gpu",), "tensorrt": ("tensorrt-cu12", "tensorrt-cu13")}
"""packages that give the same module as another"""
_PYTHONS = ("3.12", "3.11", "3.10", "3.9", "3.8")
"""that an environment is made with, the first that a project takes"""
_DEVELOPMENT = {"dev", "test", "bench"}
"""extras that a user does not install"""
_COLUMNS = (
    "python", "numpy", "torch", "torchaudio", "onnx", "onnxruntime", "onnxruntime-gpu", "cuda", "cudnn",
    "tensorrt", "ctranslate2", "transformers", "modelscope", "protobuf",
)  # fmt: skip
"""what the table of projects has a line for"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit: what, why, and the command that mends it."""

    name: str
    level: Level
    what: Text
    why: Text
    command: str
    source: str = ""
    """where that was read, or what it was tried with; "" = it was found here"""

    @classmethod
    def of(cls, name: str, level: Level, entry: Mapping[str, Any], fillings: Mapping[str, object]) -> Finding:
        """From `what`, `why`, `command` and `source` of a table."""
        return cls(
            name,
            level,
            Text.of(entry["what"]).filled(fillings),
            Text.of(entry["why"]).filled(fillings),
            filled(entry["command"], fillings),
            entry.get("source", ""),
        )


@dataclass(frozen=True, slots=True)
class Need:
    """What a project wants of a package."""

    project: str
    package: str
    wanted: str
    """a version specifier; "" = any"""
    installed: str
    """"" = it is not installed"""
    source: str
    """the file that says so"""

    @property
    def fits(self) -> bool | None:
        """None = it is not installed."""
        return _satisfies(self.installed, self.wanted) if self.installed else None


@cache
def tables() -> dict[str, Any]:
    """compatibility.toml."""
    return table("compatibility")


def facts(found: Environment) -> dict[str, str]:
    """What the rules speak of: name → version."""
    libraries = found.libraries
    told = {
        "python": found.python,
        "glibc": found.glibc,
        "driver": found.cards.driver,
        "driver-cuda": found.cards.cuda,
        "gpu-capability": min(
            (card.capability for card in found.cards.cards if card.capability), key=Version, default=""
        ),
        "torch-cuda": _told(libraries, "torch", "cuda"),
    }
    if found.cards.cards:
        blind = told["torch-cuda"] and not libraries["torch"]["sees_gpu"]
        told["torch-without-gpu"] = "1" if blind else ""
        lost = "CUDAExecutionProvider" in libraries.get("onnxruntime", {}).get("fallen_back", ())
        told["onnxruntime-without-gpu"] = "1" if lost else ""
    told |= {name: _told(libraries, name, "version") for name in ("cuda", "cudnn", "tensorrt")}
    told |= {
        f"{name}-{what}": _told(libraries, name, what)
        for name in ("onnx", "onnxruntime")
        for what in ("ir", "opset")
    }
    return dict(found.packages) | {name: version for name, version in told.items() if version}


def _told(libraries: Mapping[str, Mapping[str, Any]], name: str, what: str) -> str:
    value = libraries.get(name, {}).get(what)
    return "" if value is None else str(value)


def misfits(found: Environment) -> list[Finding]:
    """Everything that does not fit, errors first."""
    known = facts(found)
    all_of_them = [
        *_broken(found),
        *_by_rules(known),
        *_compiled_for_others(found),
        *_requirements(known),
    ]
    return sorted(all_of_them, key=lambda finding: finding.level != "error")


def _by_rules(known: Mapping[str, str]) -> Iterator[Finding]:
    for rule in tables()["rule"]:
        if fires(rule, known):
            yield Finding.of(rule["name"], rule["level"], rule, known)


def fires(rule: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    """Whether a rule's conditions all hold."""
    pairs = [(pair, False) for pair in rule.get("newer", ())]
    pairs += [(pair, True) for pair in rule.get("newer_major", ())]
    return (
        all(name in known and _satisfies(known[name], want) for name, want in rule.get("when", {}).items())
        and not any(name in known for name in rule.get("missing", ()))
        and all(_newer(known.get(first), known.get(second), major) for (first, second), major in pairs)
    )


def _satisfies(version: str, wanted: str) -> bool:
    """A version that nobody can read satisfies no bound."""
    try:
        return SpecifierSet(wanted).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not wanted


def _newer(first: str | None, second: str | None, major: bool) -> bool:
    if first is None or second is None:
        return False
    try:
        one, other = Version(first), Version(second)
    except InvalidVersion:
        return False
    return one.major > other.major if major else one > other


def _compiled_for_others(found: Environment) -> Iterator[Finding]:
    """GPUs that a library has no code for."""
    entry = tables()["architecture"]
    for library, told in found.libraries.items():
        compiled = tuple(told.get("architectures", ()))
        for card in found.cards.cards:
            if not card.capability or runs_on(card.capability, compiled) is not False:
                continue
            oldest = min((int(digits) for name in compiled if (digits := re.sub(r"\D", "", name))), default=0)
            number = int(card.capability.replace(".", ""))
            holes = {
                "library": library,
                "version": told["version"],
                "name": card.name,
                "number": number,
                "compiled": ", ".join(compiled),
            }
            commands = entry["older" if number < oldest else "newer"]
            chosen = {**entry, "command": commands.get(library, f"pip install --upgrade {library}")}
            yield Finding.of("architecture", "error", chosen, holes)


def _broken(found: Environment) -> Iterator[Finding]:
    for library, told in found.libraries.items():
        if "failed" in told:
            holes = {"library": library, "said": told["failed"].removesuffix(".")}
            yield Finding.of("broken", "error", tables()["broken"], holes)


def _requirements(known: Mapping[str, str]) -> Iterator[Finding]:
    """Of Sonorant, and (as warnings) of installed projects: versions that they do not want."""
    entry = tables()["requirement"]
    packages = {project["name"]: project["package"] for project in tables()["project"]}
    for need in needs(known):
        ours = need.project == SONORANT
        if need.fits is not False or not (ours or packages[need.project] in known):
            continue
        holes = {
            "project": need.project,
            "package": need.package,
            "wanted": need.wanted,
            "version": need.installed,
            "environment": need.project.lower().replace(" ", "-"),
            "release": _release(need.wanted),
        }
        command = entry["commands"].get(need.package, "pip install '{package}{wanted}'")
        chosen = {**entry, "command": command, "source": need.source}
        yield Finding.of("requirement", "error" if ours else "warning", chosen, holes)


def _release(wanted: str) -> str:
    """A Python that `wanted` takes."""
    return next((python for python in _PYTHONS if _satisfies(f"{python}.0", wanted)), _PYTHONS[0])


def needs(known: Mapping[str, str]) -> list[Need]:
    """What every project of the table, and Sonorant, wants of which package."""
    ours = {"name": SONORANT, "needs": own_needs(), "source": "metadata of sonorant"}
    return [
        Need(project["name"], package, wanted, _installed(package, known), project["source"])
        for project in (ours, *tables()["project"])
        for package, wanted in project["needs"].items()
    ]


def columns() -> tuple[str, ...]:
    """The packages that the table of projects has a line for, in order."""
    return _COLUMNS


def _installed(package: str, known: Mapping[str, str]) -> str:
    names = (package, *_STANDS_IN.get(package, ()))
    return next((known[name] for name in names if name in known), "")


@cache
def own_needs() -> dict[str, str]:
    """Sonorant's own requirements, its extras' too, by its installed metadata: package → versions."""
    try:
        distribution = metadata.distribution("sonorant")
    except metadata.PackageNotFoundError:
        return {}
    found = {"python": distribution.metadata["Requires-Python"] or ""}
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        extras = set(re.findall(r"extra == ['\"]([\w-]+)", line))
        if requirement.name != "sonorant" and not (extras and extras <= _DEVELOPMENT):
            found.setdefault(requirement.name.lower(), str(requirement.specifier))
    return found
