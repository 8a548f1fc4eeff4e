"""Networks that a family writes anew with a file's weights, as files: from these, artefacts can be prepared.

`sonorant prepare` keeps them; loading a model looks whether what it has just written is what was kept.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sonorant.networks.artefacts import Artefacts
from sonorant.networks.targets import ONNX_FILE


def keep(artefacts: Artefacts, source: Path, network: str, model: bytes) -> Path:
    """The file that stands for a network made of `source`, written where there is none of these bytes."""
    there = _file(artefacts, source, network)
    if not _holds(there, model):
        there.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=there.parent, prefix=".making-") as made:
            written = Path(made) / ONNX_FILE
            written.write_bytes(model)
            os.replace(written, there)
    return there


def kept(artefacts: Artefacts, source: Path, network: str, model: bytes) -> Path | None:
    """That file, where it was kept; None where it was not, or another one was."""
    home = artefacts.home / "artefacts"
    if next(home.glob(f"*/derived-{network}"), None) is None:
        return None  # without reading the source to know its name
    there = _file(artefacts, source, network)
    return there if _holds(there, model) else None


def _file(artefacts: Artefacts, source: Path, network: str) -> Path:
    return artefacts.folder(source, f"derived-{network}") / ONNX_FILE


def _holds(file: Path, model: bytes) -> bool:
    return file.is_file() and file.stat().st_size == len(model) and file.read_bytes() == model
