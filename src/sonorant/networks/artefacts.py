"""This machine's derived artefacts and their proofs: `<home>/artefacts/<sha256 of the source>/<recipe>/`.

They are made here and nowhere else: what lies beside a downloaded model is never looked at. One that is
damaged, or bound to another engine, processor or recipe, is not used. What loading a model makes (cuts,
batches) is then made again at once, what commands make (prepared, export) when they are run again.
"""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sonorant.catalogue.digests import identity, sha256
from sonorant.networks import targets
from sonorant.networks.proof import Bindings, Evidence, Kind, Proof, Quality

logger = logging.getLogger(__name__)

PROOF = "proof.json"

_INSTRUCTIONS = (
    "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile",
    "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""flags of /proc/cpuinfo by which ONNX Runtime's kernels (MLAS, platform.cpp) choose their code"""

Make = Callable[[Path], Evidence]
"""writes the artefact's files into an empty folder, runs them, and says what it found"""


@dataclass(frozen=True, slots=True)
class Artefact:
    """Proven files that stand for a model."""

    folder: Path
    proof: Proof


class Artefacts:
    """The store, for one engine on one device, and others that artefacts of their own are made for."""

    def __init__(self, home: Path, engine: str, device: str = "cpu") -> None:
        """engine: its name, version and provider, as they stand in proofs; device: "cpu", "cuda:1" …"""
        self._home, self._engine, self._device = home / "artefacts", engine, device

    @property
    def home(self) -> Path:
        """Where Sonorant keeps what it made."""
        return self._home.parent

    def get(self, source: Path, kind: Kind, recipe: str, make: Make) -> Artefact | None:
        """The artefact that `make` derives from `source`, made where it is missing; None = not proven.

        recipe: a name and a version, part of a path. A failed proof is kept as well, so that it is not tried
        at every start; where making goes wrong, the log says how, and the next start tries again. Blocks.
        """
        artefact = self.kept(source, kind, recipe)
        folder = self.folder(source, recipe)
        if artefact is not None:
            proof = artefact.proof
        else:
            try:
                proof = self.make(source, kind, recipe, make).proof
            except Exception as error:  # a full disk, or what a strange graph makes a library say
                logger.warning(
                    "%s: %s is used as it is: %s: %s", recipe, source.name, type(error).__name__, error
                )
                logger.debug("what went wrong", exc_info=True)
                return None
            if proof.holds:
                logger.info("%s: proven for %s, kept in %s", recipe, source.name, folder)
        if not proof.holds:
            logger.warning("%s: %s is used as it is: %s", recipe, source.name, proof.evidence.fault)
            return None
        return Artefact(folder, proof)

    def folder(self, source: Path, recipe: str) -> Path:
        """Where the artefact of that recipe is kept."""
        return self._home / identity(source) / recipe

    def kept(self, source: Path, kind: Kind, recipe: str) -> Artefact | None:
        """What has been made already, proven or not. None where it has not, or is damaged, or bound to
        something else."""
        folder = self.folder(source, recipe)
        proof = _kept(folder, kind, self._bindings(source, recipe))
        return Artefact(folder, proof) if proof else None

    def all(self, source: Path, kind: Kind) -> list[Artefact]:
        """Everything of a kind that has been made of `source` and is bound to what is here.

        The names of its recipes begin with the kind.
        """
        if next(self._home.glob(f"*/{kind}-*"), None) is None:
            return []  # without reading the source to know its name
        of_source = self._home / identity(source)
        recipes = sorted(path.parent.name for path in of_source.glob(f"{kind}-*/{PROOF}"))
        found = (self.kept(source, kind, recipe) for recipe in recipes)
        return [artefact for artefact in found if artefact]

    def make(self, source: Path, kind: Kind, recipe: str, make: Make) -> Artefact:
        """Make it, again where it has been made before. Raises what `make` raises."""
        folder = self.folder(source, recipe)
        return Artefact(folder, self._made(folder, kind, self._bindings(source, recipe), make))

    def judged(self, artefact: Artefact, quality: Quality) -> Artefact:
        """Enter what was measured of the artefact in use into its proof."""
        return self._told(artefact, replace(artefact.proof.evidence, quality=quality))

    def asked(self, artefact: Artefact, by: str) -> Artefact:
        """Enter what was asked for when it was made."""
        return self._told(artefact, replace(artefact.proof.evidence, asked=by))

    def _told(self, artefact: Artefact, evidence: Evidence) -> Artefact:
        proof = replace(artefact.proof, evidence=evidence)
        with tempfile.NamedTemporaryFile(
            "w", dir=artefact.folder, prefix=".proof-", encoding="utf-8", delete=False
        ) as written:
            written.write(proof.to_json())
        Path(written.name).chmod((artefact.folder / PROOF).stat().st_mode & 0o777)  # others serve it, too
        os.replace(written.name, artefact.folder / PROOF)
        return Artefact(artefact.folder, proof)

    def _bindings(self, source: Path, recipe: str) -> Bindings:
        engine = targets.engine_of(recipe)
        named = self._engine if engine == targets.ONNX_RUNTIME else targets.described(engine, self._device)
        return Bindings(identity(source), recipe, named, device_class())

    def _made(self, folder: Path, kind: Kind, bindings: Bindings, make: Make) -> Proof:
        """Made in a folder of its own and moved to its place whole; the proof is the last to come."""
        self._home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._home, prefix=".making-") as made:
            evidence = make(Path(made))
            files = sorted(Path(made).iterdir()) if not evidence.fault else []
            derived = {file.name: sha256(file) for file in files}
            date = datetime.now(UTC).isoformat(timespec="seconds")
            proof = Proof(kind, bindings, derived, evidence, date)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / PROOF).unlink(missing_ok=True)
            for file in files:  # another process that makes the same writes the same bytes
                os.replace(file, folder / file.name)
            written = Path(made) / PROOF
            written.write_text(proof.to_json(), encoding="utf-8")
            os.replace(written, folder / PROOF)
        return proof


def device_class() -> str:
    """The processor as ONNX Runtime's kernels tell it from others: "x86_64 avx avx2 …"."""
    info = Path("/proc/cpuinfo")
    flags: set[str] = set()
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                flags = set(value.split())
                break
    return " ".join([platform.machine(), *(name for name in _INSTRUCTIONS if name in flags)])


def _kept(folder: Path, kind: Kind, bindings: Bindings) -> Proof | None:
    """The proof in `folder`, where it is bound to what is here and its files have the bytes that it names."""
    try:
        proof = Proof.from_json((folder / PROOF).read_text(encoding="utf-8", errors="replace"))
        if proof and (proof.kind, proof.bindings) != (kind, bindings):
            return None
        if proof and all(sha256(folder / name) == digest for name, digest in proof.derived.items()):
            return proof
        logger.warning("%s is damaged and %s", folder, _next(kind, bindings.recipe))
    except OSError as error:
        if folder.is_dir():
            logger.warning("%s cannot be read and %s: %s", folder, _next(kind, bindings.recipe), error)
    return None


def _next(kind: Kind, recipe: str) -> str:
    """What becomes of an artefact that is of no use."""
    if kind in ("cut", "batch"):
        return "is made again"
    name = recipe.partition(".")[2] if kind == "prepared" else kind
    return f"is not used; `sonorant prepare MODEL --to {name}` makes it again"
