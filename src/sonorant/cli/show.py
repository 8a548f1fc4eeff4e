"""`sonorant show MODEL`: its card, and what of it is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config

if TYPE_CHECKING:
    from sonorant.catalogue import Catalogue, File, ModelCard


def show(
    model: Annotated[str, typer.Argument(help="NAME or NAME@REVISION.")],
    config: Config = None,
) -> None:
    """Show a model's card and which of its files are here."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from sonorant.catalogue import Catalogue
    from sonorant.settings import load_settings

    catalogue = Catalogue(load_settings(config).catalogue)
    card = catalogue.find(model)
    console = Console(highlight=False, markup=False)  # [espeak] is an extra, and no style
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(card, catalogue).items():
        if value:
            facts.add_row(localized(name), value)
    console.print(facts)
    if card.files:
        files = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("file", "size", "here", "voice", "sources"):
            files.add_column(
                localized(heading), justify="right" if heading == "size" else "left", overflow="fold"
            )
        for file in card.files:
            here = "yes" if (catalogue.store.folder(card) / file.name).is_file() else "no"
            files.add_row(
                file.name, decimal(file.size), localized(here), file.voice, "\n".join(_sources(file))
            )
        console.print(files)


def _facts(card: ModelCard, catalogue: Catalogue) -> dict[str, str]:
    present = {voice.name for voice in catalogue.store.voices(card)}
    voices = [
        f"{v.name}: {v.language} {localized(v.gender)}".rstrip()
        + ("" if v.name in present else localized(", not here"))
        for v in card.voices
    ]
    return {
        "model": str(card),
        "description": card.description,
        "task": localized(card.task),
        "family": card.family,
        "languages": " ".join(card.languages),
        "voices": "\n".join(voices),
        "sample rate": f"{card.sample_rate} Hz" if card.sample_rate else "",
        "licence": card.licence,
        "parts": "\n".join(f"{role}: {name}" for role, name in card.parts.items()),
        "aliases": " ".join(card.aliases),
        "folder": str(catalogue.store.folder(card)) if card.files else "",
    }


def _sources(file: File) -> list[str]:
    from sonorant.catalogue.card import Hub, Joined, Package, Url

    lines: list[str] = []
    for source in file.sources:
        match source:
            case Hub():
                lines.append(f"{source.hub}: {source.repo}@{source.revision}")
            case Url():
                lines.append(source.url)
            case Package():
                lines.append(f"package: {source.package}=={source.version}")
            case Joined():
                lines.append("packages: " + " + ".join(f"{p.package}=={p.version}" for p in source.packages))
    return lines
