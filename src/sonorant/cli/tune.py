"""`sonorant tune MODEL`: the settings under which it serves best on this machine, by measuring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config, Device, Offline, Ort, Texts, Voice, check_plot, settings_of
from sonorant.tune import SECONDS, TRIALS

if TYPE_CHECKING:
    from sonorant.tune.rows import Trial
    from sonorant.tune.session import Verdict


def tune(
    model: Annotated[str, typer.Argument(help="NAME, NAME@REVISION or a folder.")],
    slo: Annotated[
        str,
        typer.Option(help="Bounds that must be kept, such as ttfa_p95<200ms,memory<2GB.", show_default=False),
    ] = "",
    clients: Annotated[
        int | None,
        typer.Option(min=1, max=512, help="Who ask at once.", show_default="those of --slo, or two a core"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long trials may take altogether.")] = SECONDS,
    trials: Annotated[int, typer.Option(min=1, help="How many there may be.")] = TRIALS,
    voice: Voice = "",
    language: Annotated[str, typer.Option(help="Of the sentences.", show_default="the model's first")] = "",
    texts: Texts = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(help="Speech to be heard; repeatable.", show_default="sentences that are spoken first"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what was measured before.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(help="Write what is chosen into this settings file; all else in it stays."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw what was measured in this file (.svg).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Find the settings with which a model serves best here. Status 1: nothing keeps the bounds."""
    check_plot(plot)
    from sonorant.tune import output
    from sonorant.tune.plot import svg
    from sonorant.tune.session import Asked, Hear, tune

    asked = Asked(
        model=model,
        slo=slo,
        clients=clients or 0,
        seconds=seconds,
        trials=trials,
        voice=voice,
        language=language,
        texts=texts,
        recordings=tuple(recording or ()),
        fresh=fresh,
    )
    settings = settings_of(config, device, offline, ort)
    found = tune(asked, settings, Hear(_doing, _trial))
    if json:
        typer.echo(output.as_json(found))
    else:
        from rich.console import Console

        output.show(found, Console(), localized)
    if plot is not None:
        from sonorant.bench.output import write as write_text

        write_text(plot, svg(found))
    _settled(found, write, json=json)
    if found.chosen is None:
        raise typer.Exit(1)


def _settled(found: Verdict, file: Path | None, *, json: bool) -> None:
    """Write what was chosen, or say what would be written."""
    from sonorant.tune import toml
    from sonorant.tune.session import overruled

    if found.chosen is None or not found.chosen.candidate.settings:
        if file is not None:
            _say(f"{file} is left as it is: there is nothing to change.")
        return
    candidate = found.chosen.candidate
    if file is not None:
        toml.write(file, candidate, toml.remarks(found.chosen, found.look.name, found.clients))
        _say(f"Written into {file}. Serve with it: sonorant serve {found.look.name} --config {file}")
    elif not json:
        typer.echo("\n" + toml.written(candidate), nl=False)
        _say("To have this written into a settings file, say --write FILE.")
    for variable in overruled(candidate):
        _say(f"The environment says {variable}, which comes before any file.")


def _say(text: str) -> None:
    typer.echo(localized(text), err=True)


def _doing(what: str) -> None:
    typer.echo(f"… {localized(what)}", err=True)


def _trial(trial: Trial) -> None:
    from sonorant.tune.output import progress

    typer.echo(f"  {progress(trial)}", err=True)
