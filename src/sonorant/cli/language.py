"""The command line in the language of the terminal: help, errors in how it is called, what it prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand, TyperGroup

from sonorant.locale import ENGLISH, language_of_terminal, translated


def localized(text: str) -> str:
    """English text of ours in the language of the terminal."""
    return translated(text, language_of_terminal())


class _Localized:
    """Of a command: its help and its parameters' are translated as it is made, the frame as it is shown."""

    help: str | None
    params: list[Any]
    options_metavar: str | None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.help = localized(self.help or "")
        self.options_metavar = localized(self.options_metavar or "")
        for param in self.params:
            _translate(param)

    def get_usage(self, ctx: Any) -> str:
        usage: str = super().get_usage(ctx)  # type: ignore[misc]
        return usage.replace("Usage:", localized("Usage:"), 1)

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        _translate(option)
        return option

    def format_help(self, *args: Any) -> None:
        _translate_panels()
        super().format_help(*args)  # type: ignore[misc]


class Command(_Localized, TyperCommand):
    """A command."""


class Group(_Localized, TyperGroup):
    """The command that holds the others. What is wrong with a command line passes through it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.subcommand_metavar = localized(self.subcommand_metavar)

    def make_context(self, *args: Any, **more: Any) -> Any:
        with _errors_of_use():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        with _errors_of_use():
            return super().invoke(ctx)


def _translate(param: Any) -> None:
    param.help = localized(getattr(param, "help", None) or "")
    if isinstance(getattr(param, "show_default", None), str):
        param.show_default = localized(param.show_default)


@contextmanager
def _errors_of_use() -> Iterator[None]:
    """Translates what typer finds wrong with a command line. Its errors have no public class in common."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and language_of_terminal() != ENGLISH:
            _translate_panels()
            said = localized(error.format_message())
            error.format_message = lambda: said
        raise


def _translate_panels() -> None:
    """typer draws its frames with words that stand in constants of this module."""
    if language_of_terminal() == ENGLISH:
        return
    from typer import rich_utils

    for name, value in list(vars(rich_utils).items()):
        if name.isupper() and isinstance(value, str):
            setattr(rich_utils, name, localized(value))

    class Folding(rich_utils.OptionHighlighter):
        """Chinese has no spaces for a narrow column to break its lines at; typer's would cut them off."""

        def __call__(self, text: Any) -> Any:
            shown = super().__call__(text)
            shown.overflow = "fold"
            return shown

    rich_utils.highlighter = Folding()
