"""`sonorant prepare MODEL --to …`: artefacts that cost less, each with its proof."""

from __future__ import annotations

import json as json_format
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config, Device, Offline, Ort, settings_of
from sonorant.cli.prepare_output import printed, tree
from sonorant.errors import RequestError, unwritable
from sonorant.prepare import SECONDS, WORKSPACE

if TYPE_CHECKING:
    from rich.progress import TaskID

    from sonorant.prepare.session import Row


def prepare(
    model: Annotated[str, typer.Argument(help="NAME, NAME@REVISION, a folder, or an .onnx file.")],
    to: Annotated[
        list[str] | None,
        typer.Option(help="Passes, with commas between them; PASS+PASS is one after the other."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Short for --to float16.")] = False,
    shown: Annotated[bool, typer.Option("--list", help="Show what has been made before.")] = False,
    again: Annotated[bool, typer.Option("--force", help="Make again what has been made before.")] = False,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=NUMBER", help="How large an axis of a bare file usually is; repeatable."),
    ] = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(
            help="Speech to measure on; repeatable.", show_default="sentences that are spoken first"
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            help="Texts in the languages that stay, a sentence a line, for prune-vocabulary-…; repeatable.",
            show_default="sentences that come along in the model's languages",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds that one step may take.")
    ] = SECONDS,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS=MIN,OPT,MAX",
            help="Sizes that a TensorRT engine or LiteRT file is built for; repeatable.",
        ),
    ] = None,
    workspace: Annotated[
        int, typer.Option(metavar="MIB", min=1, help="GPU memory that building a TensorRT engine may take.")
    ] = WORKSPACE >> 20,
    allow: Annotated[
        str, typer.Option(help="Let artefacts of this precision lose more: int8.", show_default=False)
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="Copy what is proven, with its proofs, into this folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Make a model cheaper to run, and prove that it is as good. Status 1: not so, or nothing to change."""
    from sonorant.prepare.convert.kinds import CONVERSIONS, Limits
    from sonorant.prepare.passes import PASSES
    from sonorant.prepare.recipes import way
    from sonorant.prepare.session import EXPORT, Asked, fruitless
    from sonorant.prepare.session import kept as made_before
    from sonorant.prepare.session import prepare as made

    wanted = [name.strip() for each in to or [] for name in each.split(",") if name.strip()]
    wanted += ["float16"] if half else []
    if not wanted and not shown:
        raise RequestError(
            "Nothing is named that the model is to become",
            remedy=f"Say --to {', '.join([EXPORT, *PASSES, *CONVERSIONS])}",
            param="to",
        )
    asked = Asked(
        model,
        tuple(way(name) for name in dict.fromkeys(wanted) if name != EXPORT),
        export=EXPORT in wanted,
        sizes=_sizes(size or []),
        recordings=tuple(recording or ()),
        texts=tuple(texts or ()),
        seconds=seconds,
        again=again,
        limits=Limits(_spans(profile or []), workspace << 20),
        allow=allow,
    )
    settings = settings_of(config, device, offline, ort)
    if output is not None:
        _ready(output)
    with _Bar() as bar:
        rows = list(made_before(asked, settings, bar)) if shown else made(asked, settings, bar)
    if json:
        typer.echo(json_format.dumps([tree(row) for row in rows], indent=2, ensure_ascii=False))
    else:
        printed(rows, model)
    if output is not None:
        _copy(rows, output)
    if not shown and (fruitless(rows) or any(row.refused for row in rows)):
        raise typer.Exit(1)


def _sizes(pairs: list[str]) -> dict[str, int]:
    """["frames=200"] → sizes. Raises RequestError."""
    sizes = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if not number.isascii() or not number.isdigit() or int(number) < 1:
            raise RequestError(f"{pair!r} is not AXIS=NUMBER", remedy="Write --size frames=200", param="size")
        sizes[name.strip()] = int(number)
    return sizes


def _spans(pairs: list[str]) -> dict[str, tuple[int, int, int]]:
    """["frames=8,100,400"] → spans. Raises RequestError."""
    spans = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        sizes = [int(n) for n in text.split(",") if n.strip().isascii() and n.strip().isdigit()]
        if len(sizes) != 3 or text.count(",") != 2 or not name.strip():
            raise RequestError(
                f"{pair!r} is not AXIS=MIN,OPT,MAX",
                remedy="Write --profile frames=8,100,400",
                param="profile",
            )
        spans[name.strip()] = (sizes[0], sizes[1], sizes[2])
    return spans


def _ready(output: Path) -> None:
    """Raises RequestError before the work where the folder cannot be written to."""
    with _written(output):
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass


def _copy(rows: list[Row], output: Path) -> None:
    for row in rows:
        if row.artefact is not None and row.artefact.proof.holds:
            name = f"{row.network}.{row.recipe}".replace("/", "-")
            with _written(output):
                shutil.copytree(row.artefact.folder, output / name, dirs_exist_ok=True)


@contextmanager
def _written(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # copytree's has a list of them
        raise unwritable(output, error, param="output") from error


class _Bar:
    """How far a step is; silent where there is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        self._task = self._progress.add_task("", total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, share: float, doing: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=share, description=localized(doing))
