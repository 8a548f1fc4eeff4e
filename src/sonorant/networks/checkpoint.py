"""A torch checkpoint and how its network is built; and the ONNX that was made of it on this machine.

The export is made by `prepare.export`, with torch. Where it is there and proven, serving needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sonorant.networks.artefacts import Artefacts
from sonorant.networks.signature import Signature
from sonorant.networks.targets import ONNX_FILE

RECIPE = "export-1"
"""raised whenever an export of the same checkpoint would come out otherwise"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights, the torch module that they are for, and its signature."""

    path: Path
    build: Callable[[], Any]
    """a function of a module, or a `functools.partial` of one with plain arguments: a child process finds it
    by its name"""
    signature: Signature

    @property
    def builder(self) -> tuple[str, list[Any]]:
        """ "module:function" and its arguments."""
        function, arguments = (
            (self.build.func, list(self.build.args)) if isinstance(self.build, partial) else (self.build, [])
        )
        return f"{function.__module__}:{function.__qualname__}", arguments

    @property
    def recipe(self) -> str:
        """Of its export. In another module, or under another signature, the weights are another network."""
        what = json.dumps([*self.builder, self.signature.tree()], sort_keys=True)
        return f"{RECIPE}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def exported(checkpoint: Checkpoint, artefacts: Artefacts) -> Path | None:
    """The proven ONNX of a checkpoint; None where there is none on this machine."""
    artefact = artefacts.kept(checkpoint.path, "export", checkpoint.recipe)
    return artefact.folder / ONNX_FILE if artefact and artefact.proof.holds else None
