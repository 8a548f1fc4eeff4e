"""Families: one folder each, with its layout, its networks and its pipeline."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from sonorant.errors import LayoutError, UnknownModelError

if TYPE_CHECKING:
    from sonorant.catalogue import Catalogue, ModelCard
    from sonorant.families.host import Host
    from sonorant.tasks import Servable

FAMILIES = (
    "campplus", "distillmos", "dnsmos", "hibari", "hifigan", "kokoro", "moonshine", "piper", "silero",
    "wetext", "whisper",
)  # fmt: skip


class Family(Protocol):
    """What a family's package offers."""

    def recognise(self, folder: Path) -> ModelCard | None:
        """A card for a local folder in this family's official layout; None where it is another's."""
        ...

    def load(self, card: ModelCard, folder: Path, host: Host) -> Servable:
        """The pipeline on the weights in `folder`. Blocks. Raises ModelError."""
        ...


def family(name: str) -> Family:
    """The family of that name, imported when first asked for."""
    if name not in FAMILIES:
        raise LayoutError(f"There is no family {name!r}", remedy=f"Known families: {', '.join(FAMILIES)}")
    return cast(Family, import_module(f"sonorant.families.{name}"))


def recognise(folder: Path) -> ModelCard:
    """The card of a local folder. Raises LayoutError where no family knows its layout."""
    if not folder.is_dir():
        raise LayoutError(
            f"{folder} is not a folder", remedy="Name a model of `sonorant models`, or a folder"
        )
    for name in FAMILIES:
        if card := family(name).recognise(folder):
            return card
    names = sorted(path.name for path in folder.iterdir())[:12]
    raise LayoutError(
        f"No family recognises the folder {folder}",
        why=f"It holds {', '.join(names) or 'nothing'}",
        remedy="See docs/models.md for the layouts that are recognised",
    )


def resolve(model: str, catalogue: Catalogue) -> tuple[ModelCard, Path | None]:
    """The card of a catalogue name (NAME@REVISION too) or of a local folder, with that folder.

    Raises UnknownModelError, LayoutError.
    """
    folder = Path(model).expanduser()
    if "/" in model or folder.name != model:
        return recognise(folder), folder
    try:
        return catalogue.find(model), None
    except UnknownModelError:  # a folder here that bears a model's name does not hide the model
        if folder.is_dir():
            return recognise(folder), folder
        raise
