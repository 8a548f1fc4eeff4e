"""The conversions by their names: what they write, and how near it must come to its source."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sonorant.networks.proof import EXACT, Note
from sonorant.networks.signature import Feeds, Signature
from sonorant.networks.targets import LITERT_FILE, OPENVINO_FILE, ORT_FILE, TENSORRT_FILE
from sonorant.prepare import WORKSPACE
from sonorant.prepare.convert import litert, openvino, ort, tensorrt
from sonorant.prepare.convert.converted import write_feeds
from sonorant.prepare.convert.profile import Profile, Span
from sonorant.prepare.passes import ranges
from sonorant.settings import Precision


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine of fixed sizes is built for, where it is not what the signature says."""

    axes: Mapping[str, Span] = field(default_factory=dict)
    """axis → smallest, usual, largest; those that a network does not have do not concern it"""
    workspace_bytes: int = WORKSPACE
    timing_cache: str = ""
    """a file; "" = none is kept"""
    home: str = ""
    """a folder, for the environment that translates to LiteRT"""


@dataclass(frozen=True, slots=True)
class Material:
    """What is converted."""

    model: Path
    """an .onnx file"""
    signature: Signature
    feeds: Sequence[Feeds]
    """real ones, to see which values occur"""
    limits: Limits
    kept: frozenset[str] = frozenset()
    """nodes that stay as they are"""


@dataclass(frozen=True, slots=True)
class Conversion:
    """To another engine's form."""

    name: str
    write: Callable[[Material, Path], tuple[str, ...]]
    """writes into an empty folder; what there is to say of it. In a child process"""
    least_snr: float = EXACT
    """dB, against the source; what stays below EXACT must show that nobody hears it, too"""
    precision: Precision = "float32"
    touches: frozenset[str] = frozenset()
    """operators that become others; which of them must not is found by measuring one by one"""


def _openvino(material: Material, folder: Path) -> tuple[str, ...]:
    openvino.write(str(material.model), str(folder / OPENVINO_FILE), "", [])
    return ()


def _openvino_bfloat16(material: Material, folder: Path) -> tuple[str, ...]:
    openvino.write(str(material.model), str(folder / OPENVINO_FILE), "", [], "bf16")
    return ()


def _openvino_int8(material: Material, folder: Path) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        feeds = write_feeds(ranges.real(material.feeds), Path(scratch) / "feeds.npz")
        openvino.write(str(material.model), str(folder / OPENVINO_FILE), feeds, sorted(material.kept))
    return ()


def _ort(material: Material, folder: Path) -> tuple[str, ...]:
    ort.write(str(material.model), str(folder / ORT_FILE), ort.LEVELS["all"])
    return ()


def _tensorrt(material: Material, folder: Path) -> tuple[str, ...]:
    """The plan, and what it is built by and for beside it."""
    own = {d.name for t in material.signature.inputs for d in t.dims if not isinstance(d, int)}
    axes = {name: span for name, span in material.limits.axes.items() if name in own}
    profile = Profile.of(material.signature, axes)
    built = tensorrt.plan(
        material.model,
        folder / TENSORRT_FILE,
        profile,
        material.limits.workspace_bytes,
        material.limits.timing_cache,
    )
    sizes = ", ".join(f"{name} {'–'.join(map(str, span))}" for name, span in sorted(axes.items()))
    told = Note(f"built by {built['library']} in {built['seconds']} s")
    return (told, *([Note(f"built for {sizes}")] if sizes else []))


def _litert(material: Material, folder: Path) -> tuple[str, ...]:
    limits, tree = material.limits, material.signature.tree()
    model, target = str(material.model), str(folder / LITERT_FILE)
    return tuple(litert.write(model, target, tree, limits.axes, limits.home))


ALL = (
    Conversion("openvino", _openvino),
    Conversion("openvino-bfloat16", _openvino_bfloat16, least_snr=10.0, precision="bfloat16"),
    Conversion(
        "openvino-int8", _openvino_int8,
        least_snr=15.0, precision="int8", touches=frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"}),
    ),
    Conversion("tensorrt", _tensorrt, least_snr=40.0),
    Conversion("litert", _litert),
    Conversion("ort", _ort),
)  # fmt: skip
CONVERSIONS = {each.name: each for each in ALL}
