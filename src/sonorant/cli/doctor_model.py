"""`sonorant doctor MODEL`: what a model is, what is wrong with it, why, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import typer

from sonorant.cli.language import localized
from sonorant.errors import ModelError, SettingsError
from sonorant.locale import language_of_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from sonorant.doctor.model import Diagnosis, Facts, Finding

GIVEN = {"tensorrt": "sonorant.prepare.convert.tensorrt:given"}
"""engine → what writes the graph that preparing gives it; called where files are read, in a child"""
HEALTHY, ILL, UNSEEN = 0, 1, 2
"""exit status: nothing keeps it from being used; something does; it could not be looked at"""

_OPERATORS = 8
"""that are listed"""
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def show(model: str, *, as_json: bool, engine: str = "") -> int:
    """Print the diagnosis of a file, a folder or a model of the catalogue; the exit status.

    engine: "tensorrt" where the model is to run there.
    """
    from sonorant.catalogue import Catalogue
    from sonorant.doctor.model import diagnose
    from sonorant.settings import load_settings

    try:
        settings = load_settings(None)
        diagnosis = diagnose(
            model,
            Catalogue(settings.catalogue),
            engine=engine,
            given=GIVEN.get(engine, ""),
            device=settings.device,
        )
    except (ModelError, SettingsError) as error:
        if as_json:
            fault = {"what": error.what, "why": error.why, "remedy": error.remedy}
            typer.echo(json.dumps({"model": model, "error": fault}, ensure_ascii=False, indent=2))
        else:
            said = localized("Error: ") + error.localized(language_of_terminal())
            typer.secho(said, fg=typer.colors.RED, err=True)
        return UNSEEN
    if as_json:
        tree = {"model": model, "healthy": diagnosis.healthy, **asdict(diagnosis)}
        typer.echo(json.dumps(tree, ensure_ascii=False, indent=2))
    else:
        _print(diagnosis)
    return HEALTHY if diagnosis.healthy else ILL


def _print(diagnosis: Diagnosis) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    verdict = localized("healthy") if diagnosis.healthy else localized("not usable")
    console.print(f"{diagnosis.model}: {verdict}", style="green" if diagnosis.healthy else "bold red")
    if diagnosis.family:
        console.print(f"{localized('family')}: {diagnosis.family}")
    for facts in diagnosis.files:
        _print_facts(console, facts)
    for finding in diagnosis.findings:
        _print_finding(console, finding)


def _print_facts(console: Console, facts: Facts) -> None:
    from rich.filesize import decimal
    from rich.padding import Padding
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    versions = [f"{domain} {version}" for domain, version in islice(facts.opset.items(), _OPERATORS)]
    operators = [f"{name} {count}" for name, count in islice(facts.operators.items(), _OPERATORS)]
    weights = [f"{dtype} {count:,}" for dtype, count in facts.dtypes.items()]
    for name, value in {
        "kind": facts.kind,
        "size": decimal(facts.bytes),
        "parameters": f"{facts.parameters:,} ({', '.join(weights)})" if facts.parameters else "",
        "opset": ", ".join(versions) + (f" (IR {facts.ir})" if facts.ir else ""),
        "operators": ", ".join(operators) + (" …" if len(facts.operators) > _OPERATORS else ""),
        "inputs": "\n".join(facts.inputs),
        "outputs": "\n".join(facts.outputs),
        "made by": facts.producer,
    }.items():
        if value:
            table.add_row(localized(name), value)
    console.print(f"\n{facts.file}", style="bold")
    console.print(Padding(table, (0, 0, 0, 2)))


def _print_finding(console: Console, finding: Finding) -> None:
    severity = localized(finding.severity)
    head = f"\n{severity} ({finding.code})" + (f" {finding.where}" if finding.where != "." else "")
    console.print(head, style=_STYLES[finding.severity])
    for start, text in (("", finding.what), ("cause: ", finding.why), ("remedy: ", finding.remedy)):
        console.print(f"  {localized(start)}{localized(text)}")
