"""`sonorant models`: which models are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config

if TYPE_CHECKING:
    from sonorant.catalogue import Catalogue


def models(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a model.")] = False,
    config: Config = None,
) -> None:
    """List the models of the catalogue."""
    from sonorant.catalogue import Catalogue
    from sonorant.settings import load_settings

    catalogue = Catalogue(load_settings(config).catalogue)
    if json:
        _print_json(catalogue)
    else:
        _print_table(catalogue)


def _print_table(catalogue: Catalogue) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "task", "languages", "size", "here", "licence"):
        table.add_column(
            localized(heading), justify="right" if heading == "size" else "left", overflow="fold"
        )
    for card in catalogue.cards:
        here = "no" if catalogue.store.missing(card) else "yes"
        size = decimal(card.size) if card.files else "–"
        name = card.name if catalogue.find(card.name) is card else str(card)
        table.add_row(
            name, localized(card.task), " ".join(card.languages), size, localized(here), card.licence
        )
    Console(markup=False).print(table)


def _print_json(catalogue: Catalogue) -> None:
    import json

    rows = [
        {
            "name": card.name,
            "revision": card.revision,
            "task": card.task,
            "languages": card.languages,
            "voices": [voice.name for voice in card.voices],
            "bytes": card.size,
            "present": not catalogue.store.missing(card),
            "licence": card.licence,
        }
        for card in catalogue.cards
    ]
    typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
