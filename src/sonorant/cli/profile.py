"""`sonorant profile MODEL`: where its time and memory go, against what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config, Device, Offline, Ort, Voice, settings_of
from sonorant.errors import RequestError


def profile(
    model: Annotated[str, typer.Argument(help="NAME, NAME@REVISION, a folder, or an .onnx or .ort file.")],
    text: Annotated[
        str, typer.Option(help="What a voice is to say.", show_default="a sentence that comes along")
    ] = "",
    audio: Annotated[
        Path | None,
        typer.Option(help="What a recogniser is to hear.", show_default="vowels that nobody said"),
    ] = None,
    voice: Voice = "",
    language: Annotated[str, typer.Option(help="BCP 47.", show_default="the voice's own")] = "",
    runs: Annotated[int, typer.Option(min=1, max=100, help="Requests that are watched.")] = 5,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="The size of an axis of a model file; repeatable."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="Operators that are listed.")] = 20,
    trace: Annotated[
        Path | None, typer.Option(help="Write a trace for Perfetto or chrome://tracing (.json).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    nvtx: Annotated[bool, typer.Option("--nvtx", help="NVTX ranges around stages, for Nsight.")] = False,
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Show where a model's time and memory go, and what would make it faster."""
    from sonorant.cli.pull import Bars
    from sonorant.prepare.profile import chrome, output
    from sonorant.prepare.profile.session import Asked, profile

    if trace is not None:
        chrome.check(trace)
    asked = Asked(model, text, audio, voice, language, runs, nvtx, _sizes(size or []))
    with Bars() as bars:
        report, events = profile(asked, settings_of(config, device, offline, ort), bars)
    if trace is not None:
        chrome.write(trace, events)
    if json:
        typer.echo(output.as_json(report))
        return

    from rich.console import Console

    output.show(report, Console(markup=False), localized, top)


def _sizes(pairs: list[str]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for pair in pairs:
        name, _, number = pair.rpartition("=")
        if not name or not number.isascii() or not number.isdigit():
            raise RequestError(f"--size {pair} makes no sense", remedy="Write --size frames=200")
        sizes[name] = int(number)
    return sizes
