"""Options that several commands share, and the settings that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonorant.errors import RequestError
from sonorant.tasks import AudioFormat

if TYPE_CHECKING:
    from sonorant.in_force import Source
    from sonorant.settings import Settings

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
Offline = Annotated[
    bool | None, typer.Option("--offline/--online", help="Never dial out.", show_default=False)
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 … or auto.", show_default="cpu")]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Of prepared networks: auto, float32, float16, bfloat16, float8, int8 or int4.",
        show_default="auto",
    ),
]
Ort = Annotated[
    list[str] | None,
    typer.Option("--ort", metavar="NAME=VALUE", help="An ONNX Runtime option by its own name; repeatable."),
]
Tier = Annotated[
    str,
    typer.Option(
        "--quality",
        help="high, balanced or fast, where a model has such tiers.",
        show_default="as it always does",
    ),
]
Fitting = Annotated[
    str | None,
    typer.Option(help="NAME, NAME@REVISION or a folder.", show_default="one that knows the language"),
]
"""a model that may be left to the text or the recording"""
Voice = Annotated[str, typer.Option(help="A voice of the model.", show_default="its first")]
Format = Annotated[AudioFormat | None, typer.Option(help="The file's format.", show_default="by its name")]
Rate = Annotated[
    int | None,
    typer.Option("--sample-rate", min=8000, max=48000, help="Hertz.", show_default="the voice's own"),
]
Texts = Annotated[
    Path | None,
    typer.Option(help="Sentences of your own, one a line.", show_default="forty that come along"),
]
Server = Annotated[str | None, typer.Option(help="Ask this server, e.g. http://127.0.0.1:8000.")]
ApiKey = Annotated[str, typer.Option(envvar="OPENAI_API_KEY", help="The key that --server asks for.")]


def check_plot(file: Path | None) -> None:
    """Raises RequestError where it is none that a plot can be drawn in."""
    if file is not None and file.suffix.lower() != ".svg":
        raise RequestError(f"{file} is no SVG", remedy="Name a file that ends in .svg", param="plot")


def settings_of(
    config: Path | None,
    device: str | None = None,
    offline: bool | None = None,
    ort: list[str] | None = None,
    **more: Any,
) -> Settings:
    """Settings with the command line on top. Raises SettingsError."""
    return source_of(config, device, offline, ort, **more).read()


def source_of(
    config: Path | None,
    device: str | None = None,
    offline: bool | None = None,
    ort: list[str] | None = None,
    **more: Any,
) -> Source:
    """What such settings are read from, once or again. Raises SettingsError."""
    from sonorant.in_force import Source
    from sonorant.networks.engines.options import parse_options

    options = parse_options(ort or [])
    return Source(
        config, {"device": device, "onnxruntime": options, "catalogue": {"offline": offline}, **more}
    )
