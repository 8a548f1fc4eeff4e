"""`sonorant transcribe FILE…`: write down recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import ApiKey, Config, Device, Fitting, Offline, Ort, Server, Tier, settings_of
from sonorant.cli.transcript import ENDINGS, Shape, form, written
from sonorant.errors import RequestError, SonorantError, unwritable
from sonorant.tasks import Quality, Task

if TYPE_CHECKING:
    from sonorant.library import Model
    from sonorant.library.answers import Whole


def transcribe(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Recordings, in whatever format FFmpeg reads.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file, or with several recordings a folder.")
    ] = None,
    model: Fitting = None,
    batch: Annotated[
        Path | None, typer.Option(help="A file with a recording a line, paths or JSON (.jsonl).")
    ] = None,
    format: Annotated[Shape, typer.Option(help="How it is written.")] = Shape.TEXT,
    language: Annotated[str, typer.Option(help="ISO 639-1.", show_default="the model finds out")] = "",
    itn: Annotated[bool, typer.Option("--itn", help="Write spoken numbers as digits.")] = False,
    translate: Annotated[bool, typer.Option("--translate", help="Write it in English.")] = False,
    quality: Tier = "",
    server: Server = None,
    api_key: ApiKey = "",
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Write down recordings: text, JSON with times, or subtitles."""
    tier = Quality.of(quality) or ""
    if batch is not None:
        if files or output is None or output.is_file():
            raise RequestError("--batch lists all recordings, and -o names a folder for it", param="batch")
        from sonorant.cli.batch import Source
        from sonorant.cli.transcribe_batch import transcribe_batch

        defaults = {"model": model, "format": str(format), "language": language, "itn": itn}
        defaults |= {"translate": translate, "quality": tier}
        source = Source(server, api_key, lambda: settings_of(config, device, offline, ort))
        transcribe_batch(batch, output, defaults, source)
        return
    if not files:
        raise RequestError("There is no recording", remedy="Name files, or a list of them with --batch")
    for file in files:
        if not file.is_file():
            raise RequestError(f"There is no file {file}", remedy="Check the path", param="file")
    if len(files) > 1 and format in (Shape.SRT, Shape.VTT) and output is None:
        raise RequestError(
            "Several recordings make several subtitle files", remedy="Name a folder with -o", param="o"
        )
    targets = _targets(files, output, format)
    loaded: Model | None = None
    if server is None:
        from sonorant.cli.pull import Bars
        from sonorant.library import Model, default_model

        # the default that knows the most languages is the one that translates
        languages = frozenset({"" if translate else language})
        with Bars() as bars:
            named = model or default_model(Task.TRANSCRIPTION, languages)
            loaded = Model(named, settings_of(config, device, offline, ort), bars)
    for file, target in zip(files, targets, strict=True):
        try:
            if loaded is not None:
                whole = _heard(loaded, file, language, itn, translate, tier)
                text = written(whole, file, format, many=len(files) > 1)
            else:
                fields = form(model, language, itn, format, tier)
                text = _asked(server or "", api_key, file, fields, translate)
        except SonorantError as error:
            raise type(error)(f"{file}: {error.what}", why=error.why, remedy=error.remedy) from error
        if target is None:
            typer.echo(f"{file}: {text}" if format is Shape.TEXT and len(files) > 1 else text)
        else:
            with _writing(target):
                target.write_text(text + "\n", encoding="utf-8")


def _targets(files: list[Path], output: Path | None, shape: Shape) -> Sequence[Path | None]:
    """Where each transcript goes; None = standard output. Makes the folder. Raises RequestError."""
    if output is None:
        return [None] * len(files)
    if len(files) == 1 and not output.is_dir():
        return [output]
    targets = [output / f"{file.stem}.{ENDINGS[shape]}" for file in files]
    if twice := {target.name for target in targets if targets.count(target) > 1}:
        raise RequestError(
            f"Several recordings would be written to {', '.join(sorted(twice))}",
            remedy="Write them one by one, each to its own file",
            param="o",
        )
    with _writing(output):
        output.mkdir(parents=True, exist_ok=True)
    return targets


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, param="o") from error


def _heard(model: Model, file: Path, language: str, itn: bool, translate: bool, quality: str) -> Whole:
    """The transcript, with a bar on the terminal that shows how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from sonorant.audio.decoding import length
    from sonorant.library.answers import Whole

    console = Console(stderr=True)
    columns = (
        TextColumn(file.name),
        BarColumn(),
        TextColumn("{task.completed:.0f} " + localized("s heard in")),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        model.transcribe(
            file, language=language, itn=itn, translate=translate, quality=quality
        ) as transcript,
    ):
        task = progress.add_task("", total=length(file))
        segments = []
        for segment in transcript:
            progress.update(task, completed=segment.end)
            segments.append(segment)
        return Whole(tuple(segments), transcript.duration or 0.0)


def _asked(server: str, key: str, file: Path, form: dict[str, str], translate: bool) -> str:
    from sonorant.cli.remote import transcription

    return transcription(server, key, file, form, translate=translate).rstrip("\n")
