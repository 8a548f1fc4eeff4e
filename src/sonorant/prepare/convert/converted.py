"""What a conversion gives, and its parity with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.catalogue.digests import size
from sonorant.errors import EngineError, SignatureError
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.prepared import SIZE, SOURCE_SIZE
from sonorant.networks.proof import Comparison, Evidence, compare
from sonorant.networks.signature import BATCH, Array, Axis, Feeds, Signature

LENGTHS = (0.6, 1.0, 2.1)
"""times the usual one"""
TOLERANCE = 1e-4
"""of the largest output, or of 1 where that is more: −80 dB. Another order of the same sums comes to 1e-5"""

Cases = Sequence[tuple[str, Feeds]]
"""what is fed, in words, and the feeds"""


@dataclass(frozen=True, slots=True)
class Converted:
    """A model in another engine's form."""

    path: Path
    """the file to load; what belongs to it lies beside it"""
    engine: str
    """with its version, and what it is made for"""
    evidence: Evidence
    notes: tuple[str, ...] = ()


def beside(
    model: Path,
    signature: Signature,
    path: Path,
    load: Callable[[Path], Engine],
    *,
    compared: Cases = (),
    tolerance: float = TOLERANCE,
    parts: Sequence[Path] = (),
    engine: str = "",
    notes: tuple[str, ...] = (),
) -> Converted:
    """What was made of an .onnx file: its sizes, and its parity with ONNX Runtime on that.

    load: the engine on what was made, `path`, to which `parts` belong. compared: () = `cases`. engine: "" =
    as it calls its provider. Raises SignatureError where it takes or gives other tensors than the signature
    says, and what loading raises.
    """
    with closing(OnnxRuntime(model)) as reference, closing(load(path)) as derived:
        signature.conforms(derived.inputs, derived.outputs, path.name)
        figures = {
            SOURCE_SIZE: float(size(model)),
            SIZE: float(sum(file.stat().st_size for file in (path, *parts))),
        }
        claim = f"{path.name} beside ONNX Runtime on {model.name}, the same feeds"
        fed = compared or list(cases(signature))
        evidence = parity(claim, reference, derived, fed, tolerance=tolerance, figures=figures)
        return Converted(path, engine or derived.provider, evidence, notes)


def cases(signature: Signature) -> Iterator[tuple[str, Feeds]]:
    """Valid feeds of several lengths."""
    axes = {d for t in signature.inputs for d in t.dims if isinstance(d, Axis) and d != BATCH}
    for factor in LENGTHS if axes else (1.0,):
        sizes = {axis.name: _within(axis, round(factor * max(axis.typical, axis.min))) for axis in axes}
        words = ", ".join(f"{name} {size}" for name, size in sorted(sizes.items()))
        yield words or "fixed sizes", signature.example(size="typical", seed=round(10 * factor), **sizes)


def _within(axis: Axis, size: int) -> int:
    return max(axis.min, min(size, axis.max if axis.max is not None else size))


def parity(
    claim: str,
    reference: Engine,
    derived: Engine,
    fed: Cases,
    *,
    tolerance: float = TOLERANCE,
    figures: Mapping[str, float] | None = None,
) -> Evidence:
    """Both on the same feeds; `tolerance` is a share of the largest output. A run that fails differs."""
    found: list[Comparison] = []
    scale = 1.0
    for data, feeds in fed:
        outputs = reference.prepare(feeds)()
        scale = max(scale, *(float(np.abs(v).max(initial=0)) for v in outputs.values() if v.dtype != bool))
        found.append(compare(data, outputs, _run(derived, feeds)))
    return Evidence(claim, tolerance * scale, tuple(found), dict(figures or {}))


def _run(engine: Engine, feeds: Feeds) -> dict[str, Array]:
    try:
        return engine.prepare(feeds)()
    except (EngineError, SignatureError):
        return {}


def write_feeds(feeds: Sequence[Feeds], path: Path) -> str:
    """For a child process: the path of an .npz that `read_feeds` reads."""
    arrays: dict[str, Any] = {f"{i}/{n}": a for i, one in enumerate(feeds) for n, a in one.items()}
    np.savez(path, **arrays)
    return str(path)


def read_feeds(path: str) -> list[dict[str, Array]]:
    """In their order."""
    found: dict[int, dict[str, Array]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            number, _, name = key.partition("/")
            found.setdefault(int(number), {})[name] = arrays[key]
    return [found[i] for i in sorted(found)]
