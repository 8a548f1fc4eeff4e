"""The command line. One file a command; what a command needs is imported when it runs."""

from __future__ import annotations

import sys

import typer

from sonorant import __version__
from sonorant.cli import (
    bench,
    config,
    doctor,
    models,
    observe,
    prepare,
    profile,
    pull,
    remove,
    say,
    serve,
    show,
    transcribe,
    tune,
    vocode,
)
from sonorant.cli.language import Command, Group, localized
from sonorant.errors import SonorantError
from sonorant.locale import language_of_terminal

app = typer.Typer(
    name="sonorant",
    cls=Group,
    help="Speech models from checkpoint to production.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    serve.serve,
    say.say,
    transcribe.transcribe,
    vocode.vocode,
    models.models,
    show.show,
    pull.pull,
    remove.remove,
    prepare.prepare,
    bench.bench,
    profile.profile,
    tune.tune,
    observe.observe,
    doctor.doctor,
):
    app.command(cls=Command)(command)
settings = typer.Typer(cls=Group, help="The settings.", no_args_is_help=True)
settings.command(cls=Command)(config.show)
app.add_typer(settings, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """The entry point: an error of ours is two lines on standard error and exit status 1."""
    try:
        app()
    except SonorantError as error:
        said = localized("Error: ") + error.localized(language_of_terminal())
        typer.secho(said, fg=typer.colors.RED, err=True)
        sys.exit(1)
