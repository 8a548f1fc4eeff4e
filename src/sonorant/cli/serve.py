"""`sonorant serve`: the HTTP server."""

from __future__ import annotations

from typing import Annotated

import typer

from sonorant.cli.options import Config, Device, Offline, Ort, Precision, source_of
from sonorant.tasks import DEFAULT_MODELS


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to serve: NAME, NAME@REVISION or folders.",
            show_default=" ".join(name for names in DEFAULT_MODELS.values() for name in names),
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    root_path: Annotated[
        str | None, typer.Option(help="The path under which a proxy publishes this server.")
    ] = None,
    api_key: Annotated[
        list[str] | None, typer.Option(help="A key that clients must send; repeatable.")
    ] = None,
    device: Device = None,
    precision: Precision = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Serve speech over HTTP, as OpenAI's clients expect it."""
    server = {"host": host, "port": port, "root_path": root_path, "api_keys": api_key}
    source = source_of(config, device, offline, ort, models=models, precision=precision, server=server)

    from sonorant.cli.pull import Bars
    from sonorant.server import run

    with Bars() as bars:
        run(source, bars)
