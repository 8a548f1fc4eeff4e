"""`sonorant remove MODEL…`: delete models from this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config


def remove(
    models: Annotated[list[str], typer.Argument(help="NAME or NAME@REVISION, one or more.")],
    config: Config = None,
) -> None:
    """Delete the files of models from this machine."""
    from sonorant.catalogue import Catalogue
    from sonorant.settings import load_settings

    catalogue = Catalogue(load_settings(config).catalogue)
    for card in [catalogue.find(name) for name in models]:
        typer.echo(localized(f"{card}: {catalogue.store.remove(card) / 1e6:.1f} MB freed"))
