"""`sonorant doctor`: what is wrong with this machine, with a message, or with a model."""

from __future__ import annotations

import codecs
import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import IO, Annotated, Any, Literal

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import Config
from sonorant.locale import language_of_terminal

Engine = Literal["tensorrt"]

_KEPT = 5_000
"""lines of a log's start, and again of its end, that are read"""
_LINE = 1 << 16
"""bytes that are read at a time, and characters of a line"""


def doctor(
    model: Annotated[
        str | None,
        typer.Argument(help="A file or folder, or NAME of the catalogue. Without it: this machine."),
    ] = None,
    error: Annotated[
        str | None, typer.Option(help="Explain this message; - reads a log from standard input.")
    ] = None,
    engine: Annotated[
        Engine | None, typer.Option(help="Tell what of the model this engine does not take, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Do not measure the speed.")] = False,
    config: Config = None,
) -> None:
    """Find what does not fit, and the command that mends it. Status 1: something does not fit."""
    if model is not None and error is not None:
        raise typer.BadParameter(
            "a model and --error are two questions: ask one at a time", param_hint="--error"
        )
    if model is not None:
        from sonorant.cli import doctor_model

        raise typer.Exit(doctor_model.show(model, as_json=as_json, engine=engine or ""))
    if error is not None:
        raise typer.Exit(_explain(_log(sys.stdin.buffer) if error == "-" else error, as_json))
    raise typer.Exit(_examine(as_json, not no_measure, config))


def _log(stream: IO[bytes]) -> str:
    """The first and the last lines of it, however long it is."""
    lines = _lines(stream)
    head = list(islice(lines, _KEPT))
    return "".join([*head, *deque(lines, _KEPT)])


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Of at most about two blocks each."""
    block, rest = stream.read(_LINE), ""
    decoder = codecs.getincrementaldecoder(_encoding(block))(errors="replace")
    while block:
        *lines, rest = (rest + decoder.decode(block)).split("\n")
        yield from (line + "\n" for line in lines)
        if len(rest) > _LINE:
            yield rest
            rest = ""
        block = stream.read(_LINE)
    yield rest


def _encoding(start: bytes) -> str:
    """PowerShell's > writes UTF-16, which in English has a zero in every other byte."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    few = start[:1000]
    for name, zeros in (("utf-16-le", few[1::2]), ("utf-16-be", few[0::2])):
        if zeros.count(0) > len(zeros) / 2:
            return name
    return "utf-8-sig"


def _explain(text: str, as_json: bool) -> int:
    from sonorant.doctor.messages import diagnose

    found = diagnose(text)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return 0 if found else 1
    language = language_of_terminal()
    for one in found:
        if "\n" in text.strip():
            typer.secho(f"> {one.line[:200]}", dim=True)
        typer.echo(one.cause[language])
        typer.secho(f"  {one.command}", fg=typer.colors.CYAN)
    if not found:
        typer.echo(localized("This message is not known here."))
        typer.echo(
            localized(
                "Send the whole output from its first line on, not the last line alone "
                "(YOUR_PROGRAM 2>&1 | sonorant doctor --error -), and with a report what "
                "`sonorant doctor --json` prints."
            )
        )
    return 0 if found else 1


def _examine(as_json: bool, measured: bool, config: Any) -> int:
    from sonorant.cli import doctor_report
    from sonorant.doctor.examination import examine
    from sonorant.settings import load_settings

    examination = examine(
        load_settings(config), measured, lambda what: typer.echo(f"… {localized(what)}", err=True)
    )
    if as_json:
        typer.echo(json.dumps(examination.as_json(), ensure_ascii=False, indent=2))
    else:
        doctor_report.show(examination)
    return 0 if examination.fits else 1
