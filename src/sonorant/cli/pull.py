"""`sonorant pull MODEL…`: download models before they are needed."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config

if TYPE_CHECKING:
    from rich.progress import TaskID


def pull(
    models: Annotated[list[str], typer.Argument(help="NAME or NAME@REVISION, one or more.")],
    voice: Annotated[list[str] | None, typer.Option(help="Pull this voice, too; repeatable.")] = None,
    all_voices: Annotated[bool, typer.Option("--all-voices", help="Pull every voice.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace damaged files.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is on this machine.")] = False,
    config: Config = None,
) -> None:
    """Download models and the models that play a part in them."""
    from sonorant.catalogue import Catalogue
    from sonorant.settings import load_settings

    settings = load_settings(config, {"catalogue": {"offline": True}} if offline else None)
    catalogue = Catalogue(settings.catalogue)
    cards = [catalogue.find(name) for name in models]
    asked = {str(card) for card in cards}
    parts = {str(part): part for card in cards for part in catalogue.parts(card)}
    for card in (*cards, *(part for name, part in parts.items() if name not in asked)):
        chosen = [v.name for v in card.voices] if all_voices else voice or []
        voices = chosen if str(card) in asked else []
        with Bars() as bars:
            catalogue.pull(card, voices=voices, force=force, progress=bars)
            folder = catalogue.ensure(card, voices=voices)
        typer.echo(f"{card}: {folder if card.files else localized('no files, it comes with a dependency')}")


class Bars:
    """A progress bar on the terminal for each file as it comes; silent where there is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            disable=not Console(stderr=True).is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, name: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, n: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, n)

    def done(self) -> None:
        self._task = None  # its bar stays on the screen
