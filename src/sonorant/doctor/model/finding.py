"""What a diagnosis consists of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """the model cannot be used, or gives wrong results"""
    WARNING = "warning"
    """it may go wrong"""
    NOTE = "note"
    """good to know"""


ERROR, WARNING, NOTE = Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """Symptom, cause and remedy, each a sentence in English (`sonorant.locale` has the Chinese)."""

    code: str
    """a stable word for programs"""
    severity: Severity
    what: str
    why: str
    remedy: str
    where: str
    """the file, below the folder that was looked at, and where known the tensor or operator in it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file is."""

    file: str
    kind: str
    bytes: int
    producer: str = ""
    ir: int | None = None
    opset: Mapping[str, int] = field(default_factory=dict)
    """domain → version"""
    operators: Mapping[str, int] = field(default_factory=dict)
    """operator → how many nodes, the most frequent first"""
    parameters: int | None = None
    dtypes: Mapping[str, int] = field(default_factory=dict)
    """of weights → parameters"""
    inputs: tuple[str, ...] = ()
    """ "tokens: int64 [1, T]" """
    outputs: tuple[str, ...] = ()


Seen = Finding | Facts
"""what a reader of a file yields"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file that is looked at."""

    path: Path
    name: str
    """as it stands in findings"""
    again: str
    """the remedy that fetches it anew"""

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def head(self, count: int) -> bytes:
        """Its first bytes."""
        with self.path.open("rb") as stream:
            return stream.read(count)


@dataclass(frozen=True, slots=True)
class Target:
    """What a file is to run on."""

    engine: str
    """"tensorrt"; "" = anywhere"""
    given: str
    """as of `diagnose`"""
    cut: str = ""
    """as of `NetworkFile`"""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Of a model."""

    model: str
    """as it was named"""
    family: str
    """that recognises it; "" = none"""
    files: tuple[Facts, ...]
    findings: tuple[Finding, ...]
    """the worst first"""

    @property
    def healthy(self) -> bool:
        """Nothing keeps it from being used."""
        return not any(finding.severity is ERROR for finding in self.findings)


def some(names: Iterable[str], most: int = 3) -> str:
    """The first few of many: "a, b, c …"."""
    names = list(names)
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
