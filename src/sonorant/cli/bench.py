"""`sonorant bench [URL]`: what a served model does under load, as its clients see it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import ApiKey, Config, Device, Offline, Ort, Texts, Voice, check_plot, settings_of
from sonorant.errors import RequestError


class Work(StrEnum):
    """What is asked for."""

    SPEECH = "speech"
    TRANSCRIPTION = "transcription"


class Format(StrEnum):
    """Formats of which each byte is audio, so that the generator need not decode."""

    WAV = "wav"
    PCM = "pcm"


class Language(StrEnum):
    """Languages of the sentences that come along."""

    ENGLISH = "en"
    CHINESE = "zh"


def bench(
    url: Annotated[
        str | None,
        typer.Argument(help="A server with OpenAI's audio endpoints; without it, a model in this process."),
    ] = None,
    task: Annotated[Work, typer.Option(help="What is asked for.")] = Work.SPEECH,
    model: Annotated[str, typer.Option(help="The model to ask.", show_default="the default one")] = "",
    voice: Voice = "",
    language: Annotated[Language, typer.Option(help="Of the sentences.")] = Language.ENGLISH,
    texts: Texts = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(
            help="Speech to write down; repeatable.", show_default="sentences that are spoken first"
        ),
    ] = None,
    clients: Annotated[
        str | None,
        typer.Option(help="Closed loops: how many clients, one load each.", show_default="1,4,16"),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(help="Open loops: requests a second that come by chance, one load each.")
    ] = None,
    load: Annotated[
        str | None,
        typer.Option(help="Open loops, as shares of what the closed ones have shown: 0.8,3."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="How long each load lasts.", show_default="20")
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="How many requests each load has.")] = None,
    hang_seconds: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds after which a request counts as hung.")
    ] = 60.0,
    format: Annotated[Format, typer.Option(help="What a server is asked for.")] = Format.WAV,
    whole: Annotated[
        bool, typer.Option("--whole", help="Do not stream: an answer counts when all of it is there.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the order of the sentences and of chance.")] = 0,
    pid: Annotated[
        int | None,
        typer.Option(help="The server's process, to see its memory.", show_default="found by its port"),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Judge by a target: assistant, default or a TOML file.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw percentiles in this file (.svg).")] = None,
    api_key: ApiKey = "",
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Put a model under load: first audio, breaks, throughput, memory. Status 1: a target is missed."""
    check_plot(plot)
    counts = _numbers("clients", clients or ("" if rate else "1,4,16"), whole=True)
    from sonorant.bench import session
    from sonorant.bench.loads import Bounds
    from sonorant.bench.report import Plan
    from sonorant.bench.targets import judge, read_target

    wanted = read_target(target) if target else None
    until = seconds if seconds is not None or requests is not None else 20.0
    plan = Plan(
        clients=tuple(int(count) for count in counts),
        bounds=Bounds(until, requests, hang_seconds),
        rates=_numbers("rate", rate or ""),
        shares=_numbers("load", load or ""),
        seed=seed,
    )
    if plan.shares and not plan.clients:
        raise RequestError(
            "--load is a share of what closed loops have shown, and there is none",
            remedy="Add --clients, or leave --rate out",
            param="load",
        )
    asked = session.Asked(
        transcribing=task is Work.TRANSCRIPTION,
        model=model,
        voice=voice,
        language=language,
        texts=texts,
        recordings=tuple(recording or ()),
        format=format,
        whole=whole,
        seed=seed,
    )
    if url is None:
        from sonorant.cli.pull import Bars

        with Bars() as bars:
            settings = settings_of(config, device, offline, ort)
            report = session.here(asked, plan, settings, bars, _progress)
    else:
        report = session.served(asked, plan, url, api_key, pid, _progress)

    from rich.console import Console

    from sonorant.bench import output

    verdicts = judge(wanted, report) if wanted else ()
    output.show(report, verdicts, Console(), localized)
    if json is not None:
        output.write(json, output.as_json(report, verdicts))
    if plot is not None:
        output.write(plot, output.as_svg(report, verdicts))
    if any(verdict.kept is False for verdict in verdicts):
        raise typer.Exit(1)


def _numbers(option: str, text: str, *, whole: bool = False) -> tuple[float, ...]:
    """Positive numbers with commas between them. Raises RequestError."""
    try:
        numbers = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = (0.0,)
    if any(not 0 < n < 1e6 or (whole and not n.is_integer()) for n in numbers):
        raise RequestError(
            f"--{option} {text} makes no sense", remedy="Give numbers above 0, with commas between them"
        )
    return numbers


def _progress(what: str) -> None:
    typer.echo(f"… {localized(what)}", err=True)
