"""Many things to be made into one folder, resumably: `say --batch`, `transcribe --batch`.

What is wrong with one of them is told at the end, and leaves the others at work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import typer

from sonorant.cli.language import localized
from sonorant.cli.manifest import Item, finish, opened
from sonorant.errors import ServerError, SonorantError, unwritable
from sonorant.locale import language_of_terminal

if TYPE_CHECKING:
    from sonorant.settings import Settings

SHOWN_ERRORS = 50
AT_A_SERVER = 4
"""requests that a server is asked at a time: it queues them, and lets interactive ones pass"""
PATIENCE_SECONDS = 600.0
"""how long an item is tried again that a busy server refuses"""
RECONNECTIONS = 5
"""to a server that does not answer, a second, two, four … apart"""
STOPPING_SECONDS = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be made into anything."""

    line: int
    error: SonorantError


@dataclass(frozen=True, slots=True)
class Source:
    """Who does the work: a server, or models in this process."""

    server: str | None
    key: str
    settings: Callable[[], Settings]


class Hopeless(Exception):
    """An error that every other item would meet, too."""

    def __init__(self, error: SonorantError) -> None:
        self.error = error


class Stopped(Exception):
    """The work on an item is given up, because all is."""


Make = Callable[[Item, Path, threading.Event], float]
"""makes an item into a file → seconds of audio. Raises SonorantError, Hopeless, and Stopped where told to"""


@dataclass
class Outcome:
    """How far it is."""

    made: int = 0
    kept: int = 0
    """that had been made before"""
    seconds: float = 0.0
    """of audio, in what was made"""
    wrong: list[Wrong] = field(default_factory=list)


def run(
    items: Sequence[Item], wrong: Sequence[Wrong], kept: int, folder: Path, make: Make, workers: int
) -> None:
    """Make all of them, several at a time, and tell how it went.

    `wrong` and `kept` are told with it. Raises RequestError where the folder cannot be written or another
    process is at work in it, the error of `Hopeless`, and typer.Exit where an item failed.
    """
    outcome = Outcome(kept=kept, wrong=list(wrong))
    if items:
        with opened(folder) as manifest:
            _make_all(items, folder, manifest, make, workers, outcome)
    _tell(outcome)


def until(stop: threading.Event, pieces: Iterable[T]) -> Iterator[T]:
    """The same pieces. Raises Stopped after the event."""
    for piece in pieces:
        if stop.is_set():
            raise Stopped
        yield piece


def patiently(stop: threading.Event, ask: Callable[[], T]) -> T:
    """Ask a server, again where it is busy or does not answer. Raises ServerError, Hopeless, Stopped."""
    from sonorant.cli.remote import Refused

    deadline, failures = time.monotonic() + PATIENCE_SECONDS, 0
    while True:
        try:
            return ask()
        except Refused as error:
            if error.status == 401:
                raise Hopeless(error) from error
            if error.retry_after is None or time.monotonic() + error.retry_after > deadline:
                raise
            seconds = error.retry_after
        except ServerError as error:
            failures += 1
            if failures > RECONNECTIONS:
                raise Hopeless(error) from error
            seconds = 2.0 ** (failures - 1)
        if stop.wait(seconds):
            raise Stopped


def _make_all(
    items: Sequence[Item], folder: Path, manifest: BinaryIO, make: Make, workers: int, outcome: Outcome
) -> None:
    stop, lock = threading.Event(), threading.Lock()
    left = iter(items)
    fatal: list[Exception] = []

    def work() -> None:
        while not stop.is_set():
            with lock:
                item = next(left, None)
            if item is None:
                return
            try:
                seconds = _made(item, folder, manifest, make, stop, lock)
            except Stopped:
                return
            except Hopeless as error:
                fatal.append(error.error)
                stop.set()
            except SonorantError as error:
                outcome.wrong.append(Wrong(item.line, error))
                advance()
            except OSError as error:
                fatal.append(unwritable(folder, error, param="o"))
                stop.set()
            except Exception as error:  # of the program: it is raised where somebody sees it
                fatal.append(error)
                stop.set()
            else:
                with lock:
                    outcome.made += 1
                    outcome.seconds += seconds
                advance()

    with _progress(len(items)) as advance:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(items)))]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # in short waits an interrupt is noticed
        finally:
            stop.set()
            for thread in threads:
                thread.join(STOPPING_SECONDS)
    if fatal:
        raise fatal[0]


def _made(
    item: Item, folder: Path, manifest: BinaryIO, make: Make, stop: threading.Event, lock: threading.Lock
) -> float:
    target = folder / item.target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        seconds = make(item, part, stop)
        with lock:
            finish(item, part, folder, manifest, seconds)
    finally:
        part.unlink(missing_ok=True)
    return seconds


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on the terminal, with the rate and the time that is left → what makes it one longer."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a minute."""

        def render(self, task: Task) -> Text:
            return Text("" if not task.speed else f"{60 * task.speed:.0f}/min")

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), Rate(), TimeElapsedColumn(), "→", TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def _tell(outcome: Outcome) -> None:
    language = language_of_terminal()
    wrong = sorted(outcome.wrong, key=lambda one: one.line)
    for one in wrong[:SHOWN_ERRORS]:
        place = localized(f"Line {one.line}")
        typer.secho(f"{place}: {one.error.localized(language)}", fg=typer.colors.RED, err=True)
    if len(wrong) > SHOWN_ERRORS:
        typer.echo(localized(f"and {len(wrong) - SHOWN_ERRORS} more"), err=True)
    said = f"{outcome.made} made, {outcome.kept} were there already, {len(wrong)} failed"
    typer.echo(localized(said), err=True)
    if wrong:
        raise typer.Exit(1)
