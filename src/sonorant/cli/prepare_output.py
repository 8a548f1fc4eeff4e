"""What `sonorant prepare` prints: a table, why something is not proven, and what can be done."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sonorant.cli.language import localized
from sonorant.locale import language_of_terminal

if TYPE_CHECKING:
    from sonorant.prepare.session import Row

EXACT = ("conv2d", "optimise", "openvino")
"""recipes that change no value, and may be quicker"""


def printed(rows: Sequence[Row], model: str) -> None:
    """`model`: as it was asked for."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table(rows))
    for line in (*_reasons(rows), *_advice(rows, model)):
        console.print(line, soft_wrap=True, markup=False)


def verdict(row: Row) -> str:
    """In a word or two: may it be served?"""
    if row.artefact is None:
        return localized("not made")
    proof = row.artefact.proof
    if not proof.holds:
        return localized("not proven")
    if proof.evidence.exact or proof.evidence.least_snr is None:
        return localized("exact")
    if proof.evidence.quality is None:
        return localized("quality: not measured")
    if not proof.evidence.quality.passed:
        return localized("quality: not good enough")
    allowed = proof.evidence.quality.allowed
    return localized(f"proven, as {allowed} may be") if allowed else localized("proven")


def _table(rows: Sequence[Row]) -> Any:
    from rich.filesize import decimal
    from rich.table import Table

    from sonorant.networks.prepared import MEMORY, SIZE, SOURCE_MEMORY, SOURCE_SIZE

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("network", "prepared", "size", "memory", "speed", "parity", "verdict"):
        left = heading in ("network", "prepared", "verdict")
        table.add_column(localized(heading), justify="left" if left else "right", overflow="fold")
    for row in rows:
        figures = row.artefact.proof.evidence.figures if row.artefact else {}

        def change(before: str, after: str, figures: Any = figures) -> str:
            if before not in figures or after not in figures:
                return ""
            return f"{decimal(round(figures[before]))} → {decimal(round(figures[after]))}"

        table.add_row(
            row.network,
            row.recipe,
            change(SOURCE_SIZE, SIZE),
            change(SOURCE_MEMORY, MEMORY),
            f"{row.speed:.2f} ×" if row.speed else "",
            _parity(row),
            verdict(row),
        )
    return table


def _parity(row: Row) -> str:
    worst = row.artefact.proof.evidence.worst if row.artefact else -math.inf
    if worst == -math.inf:
        return ""
    return "∞ dB" if worst == math.inf else f"{worst:.1f} dB"


def _reasons(rows: Sequence[Row]) -> Iterator[str]:
    """What was found out of each network, and of all of a recipe together."""
    for recipe in dict.fromkeys(row.recipe for row in rows):
        heard: dict[str, None] = {}
        for row in [row for row in rows if row.recipe == recipe]:
            if own := _own(row):
                yield f"{row.network}, {recipe}:"
                yield from (f"  {_said(line)}" for line in own)
            heard |= dict.fromkeys(_heard(row))
        if heard:
            yield localized(f"The model with {recipe}, as the quality gate heard it:")
            yield from (f"  {_said(line)}" for line in heard)


def _advice(rows: Sequence[Row], model: str) -> Iterator[str]:
    """What the parts are, what serves now, and what may be tried."""
    if names := list(dict.fromkeys(row.network for row in rows if row.part)):
        yield localized(
            f"{', '.join(names)} are parts of one network, which is cut so that it speaks sooner; they are"
            " prepared one by one, and heard together"
        )
    refused = [row for row in rows if row.refused]
    if not refused:
        return
    yield localized("What is refused does not serve: the publisher's own files go on serving")
    failed = [line for row in refused for line in _heard(row)]
    for allowed in [line.split()[2] for line in failed if line.startswith("With --allow ")][:1]:
        recipes = ",".join(dict.fromkeys(row.recipe for row in refused))
        yield localized(f"Try: `sonorant prepare {model} --to {recipes} --allow {allowed}`")
    if not any(row.recipe in EXACT for row in rows):
        yield localized(f"Recipes that change no value need nobody to listen: --to {','.join(EXACT)}")


def _own(row: Row) -> list[str]:
    """Why a network is not proven, and what was left as it was."""
    told = [str(row.error)] if row.error else []
    if row.artefact is None:
        return told
    evidence = row.artefact.proof.evidence
    return [each for each in (evidence.fault, *evidence.notes, *told) if each]


def _heard(row: Row) -> tuple[str, ...]:
    """What the gate said."""
    quality = row.artefact.proof.evidence.quality if row.artefact else None
    return (*(quality.failed if quality else ()), *row.remarks)


def _said(line: str) -> str:
    from sonorant.prepare.gate import translated

    return translated(line, language_of_terminal()) or localized(line)


def tree(row: Row) -> dict[str, Any]:
    """For JSON."""
    evidence = row.artefact.proof.evidence if row.artefact else None
    return {
        "network": row.network,
        "recipe": row.recipe,
        "folder": str(row.artefact.folder) if row.artefact else None,
        "proven": bool(row.artefact and row.artefact.proof.holds),
        "served": bool(row.artefact and row.artefact.proof.served),
        "snr_db": evidence.worst if evidence and math.isfinite(evidence.worst) else None,
        "exact": bool(evidence and evidence.exact),
        "quality": None if not evidence or not evidence.quality else dict(evidence.quality.figures),
        "allowed": evidence.quality.allowed if evidence and evidence.quality else "",
        "figures": dict(evidence.figures) if evidence else {},
        "remarks": [*_own(row), *_heard(row)],
    }
