"""What is prepared: a network, as a file with its signature and the feeds that real speech brought about.

It is found in one process and prepared in others, so it is kept in a folder: JSON, and the feeds as .npz.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sonorant.networks.engines.expose import expose
from sonorant.networks.engines.options import Value
from sonorant.networks.signature import Feeds, Signature
from sonorant.networks.streaming import RECIPE as CUT
from sonorant.prepare.tokens import Tokens

if TYPE_CHECKING:
    from onnx import ModelProto

_DESCRIPTION, _FEEDS = "subject.json", "feeds.npz"


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to prepare."""

    name: str
    path: Path
    """the publisher's .onnx file; artefacts are kept by its bytes"""
    signature: Signature
    recorded: tuple[Feeds, ...] = ()
    """what it was fed when its model spoke or listened; () = nothing real is known"""
    exposed: tuple[str, ...] = ()
    """tensors inside the graph that its family makes outputs"""
    options: Mapping[str, Value] = field(default_factory=dict)
    """ONNX Runtime's, with which it is served"""
    loop: bool = False
    """a loop of decoding keeps its tensors in ONNX Runtime's session"""
    tokens: Tokens | None = None
    """that its languages need; None where it says none, or nobody knows its tokenizer"""

    @property
    def part(self) -> bool:
        """Whether it is part of a network that was cut to be run in windows."""
        return self.path.parent.name == CUT

    def model(self) -> ModelProto:
        """The graph, its exposed tensors among the outputs."""
        import onnx

        data = self.path.read_bytes()
        model = onnx.load_model_from_string(expose(data, self._there(data)))
        onnx.load_external_data_for_model(model, str(self.path.parent))
        return model

    def _there(self, data: bytes) -> list[str]:
        return [name for name in self.exposed if name.encode() in data]

    def save(self, folder: Path) -> None:
        """Write it to an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        tree = {
            "name": self.name,
            "path": str(self.path),
            "exposed": list(self.exposed),
            "options": dict(self.options),
            "signature": self.signature.tree(),
            "feeds": len(self.recorded),
            "loop": self.loop,
            "tokens": self.tokens.tree() if self.tokens else None,
        }
        (folder / _DESCRIPTION).write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
        arrays = {
            f"{i}/{j}": a for i, feeds in enumerate(self.recorded) for j, a in enumerate(_row(self, feeds))
        }
        np.savez(folder / _FEEDS, **arrays)

    @staticmethod
    def read(folder: Path) -> Subject:
        """What `save` wrote."""
        tree = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        signature = Signature.of(tree["signature"])
        names = [tensor.name for tensor in signature.inputs]
        with np.load(folder / _FEEDS, allow_pickle=False) as arrays:
            recorded = tuple(
                {name: arrays[f"{i}/{j}"] for j, name in enumerate(names)} for i in range(tree["feeds"])
            )
        tokens = Tokens.of(tree["tokens"]) if tree["tokens"] else None
        exposed, options = tuple(tree["exposed"]), tree["options"]
        name, path = tree["name"], Path(tree["path"])
        return Subject(name, path, signature, recorded, exposed, options, tree["loop"], tokens)


def _row(subject: Subject, feeds: Feeds) -> list[Any]:
    return [feeds[tensor.name] for tensor in subject.signature.inputs]
