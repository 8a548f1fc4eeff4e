"""`sonorant config show`: what is in force, and where it came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config

if TYPE_CHECKING:
    from sonorant.settings import Layer


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a setting.")] = False,
    config: Config = None,
) -> None:
    """Every setting in force, and where it came from. Keys are not shown."""
    from sonorant.settings import layers, leaves, load_settings

    found = layers(config)
    tree = load_settings(config).model_dump(mode="json")
    rows = [(name, value, _origin(name, found)) for name, value in leaves(tree)]
    if as_json:
        for name, value, origin in rows:
            typer.echo(json.dumps({"setting": name, "value": value, "from": origin}, ensure_ascii=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for title in ("setting", "value", "from"):
        table.add_column(localized(title), overflow="fold")
    for name, value, origin in rows:
        style = "dim" if origin == "default" else None
        table.add_row(name, json.dumps(value, ensure_ascii=False), localized(origin), style=style)
    Console(markup=False).print(table)


def _origin(setting: str, layers: list[Layer]) -> str:
    """Of the strongest layer that says something of it."""
    for layer in reversed(layers):
        if layer.has(setting):
            return layer.origin(setting)
    return "default"
