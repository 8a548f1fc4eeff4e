"""What a family tells of its folders to who inspects them without loading anything (`sonorant doctor`).

Both are optional in a family's package: `LAYOUTS`, and `expected(folder)` for a folder that it recognises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from sonorant.networks import Signature, Tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which a publisher lays out a family's folder. Names are glob patterns."""

    origin: str
    """who does it so"""
    files: tuple[tuple[str, ...], ...]
    """each of which must be there, under one of its names"""
    typical: tuple[str, ...]
    """names that no other family's folder has: one of them tells what a folder was to be"""
    accepted: Callable[[Path], object] = lambda folder: None
    """of a folder where all is there: raises the ModelError that says why the family does not take it, a
    LayoutError where a file is missing after all"""

    def lacking(self, folder: Path) -> list[str]:
        """What is not there, "vocab.json or config.json"."""
        return [
            " or ".join(names)
            for names in self.files
            if not any(path.is_file() for name in names for path in folder.glob(name))
        ]

    def hints(self, folder: Path) -> list[Path]:
        """The files that tell that it was to be this one."""
        return [path for name in self.typical for path in sorted(folder.glob(name))]


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that the family reads itself."""

    path: Path
    read: Callable[[Path], object]
    """raises ModelError"""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """An .onnx or .ort file that the family runs."""

    path: Path
    signature: Callable[[Sequence[Tensor], Sequence[Tensor]], Signature]
    """of the inputs and outputs that the file declares; raises ModelError where they are not its"""
    cut: str = ""
    """the output at which it is cut in parts where it can be (`networks.streaming`); "" = it runs whole"""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights without a graph."""

    path: Path
    kinds: tuple[str, ...]
    """what its bytes may be"""
    names: Callable[[Mapping[str, tuple[int, ...]]], Mapping[str, tuple[int, ...]]] | None = None
    """of the tensors that the file holds, name → shape, those that the family's network takes; None = it is
    known when they are loaded"""
    under: str = ""
    """the beginning of their names, under which the file may hold no others"""


Expected = SettingsFile | NetworkFile | WeightsFile
CHECKPOINT = ("PyTorch", "pickle")
"""kinds of file that torch.load takes"""


def layouts(name: str) -> tuple[Layout, ...]:
    """Those of the family of that name."""
    return cast(tuple[Layout, ...], getattr(_package(name), "LAYOUTS", ()))


def expected(name: str, folder: Path) -> list[Expected]:
    """What the family of that name will use of a folder that it recognises. Raises ModelError."""
    tell: Callable[[Path], Iterable[Expected]] | None = getattr(_package(name), "expected", None)
    return list(tell(folder)) if tell else []


def _package(name: str) -> Any:
    return import_module(f"sonorant.families.{name}")
