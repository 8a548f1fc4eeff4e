"""What `sonorant prepare` prints: a table, why something is not proven, and what can be done."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sonorant.cli.language import localized
from sonorant.locale import ENGLISH, language_of_terminal, translated

if TYPE_CHECKING:
    from sonorant.networks.proof import Quality
    from sonorant.prepare.session import Row

EXACT = ("conv2d", "optimise", "openvino")
"""recipes that change no value, and may be quicker"""


def printed(rows: Sequence[Row], model: str) -> None:
    """`model`: as it was asked for."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(_table(rows))
    for line in (*_reasons(rows), *_advice(rows, model)):
        console.print(line, soft_wrap=True)


def verdict(row: Row) -> str:
    """In a word or two: may it be served?"""
    if row.artefact is None:
        return localized("not made")
    proof = row.artefact.proof
    if row.unchanged:
        return localized("nothing to change")
    if not proof.holds:
        return localized("not proven")
    if proof.evidence.exact or proof.evidence.least_snr is None:
        return localized("exact")
    if not proof.served:
        unheard = proof.evidence.heard == "not measured"
        return localized("quality: not measured") if unheard else localized("quality: not good enough")
    allowed = proof.evidence.quality.allowed if proof.evidence.quality else ""
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
    language = language_of_terminal()
    for recipe in dict.fromkeys(row.recipe for row in rows):
        heard: dict[str, None] = {}
        for row in [row for row in rows if row.recipe == recipe]:
            if own := _own(row, language):
                yield f"{row.network}, {recipe}:"
                yield from (f"  {line}" for line in own)
            heard |= dict.fromkeys(_heard(row, language))
        if heard:
            yield localized(f"The model with {recipe}, as the quality gate heard it:")
            yield from (f"  {line}" for line in heard)


def _advice(rows: Sequence[Row], model: str) -> Iterator[str]:
    """What the parts are, what serves now, and what may be tried."""
    from sonorant.prepare.session import fruitless

    if names := list(dict.fromkeys(row.network for row in rows if row.part)):
        yield localized(
            f"{', '.join(names)} are parts of one network, which is cut so that it speaks sooner; they are"
            " prepared one by one, and heard together"
        )
    for recipe in fruitless(rows):
        yield localized(f"Nothing was made: no network of it has anything that {recipe} changes")
    refused = [row for row in rows if row.refused]
    if not refused:
        return
    yield localized("What is refused does not serve: the publisher's own files go on serving")
    wider = {row.recipe: each.wider for row in refused if (each := _quality(row)) and each.wider}
    for allowed in dict.fromkeys(wider.values()):
        recipes = ",".join(recipe for recipe, precision in wider.items() if precision == allowed)
        yield localized(f"Try: `sonorant prepare {model} --to {recipes} --allow {allowed}`")
    if not any(row.recipe in EXACT for row in rows):
        yield localized(f"Recipes that change no value need nobody to listen: --to {','.join(EXACT)}")


def _own(row: Row, language: str) -> list[str]:
    """Why a network is not proven, and what was left as it was."""
    evidence = row.artefact.proof.evidence if row.artefact else None
    found = [each for each in (evidence.fault, *evidence.notes) if each] if evidence else []
    told = [row.error.localized(language)] if row.error else []
    return [*(translated(each, language) for each in found), *told]


def _heard(row: Row, language: str) -> list[str]:
    """What the gate said."""
    from sonorant.prepare.gate import sentences

    quality = _quality(row)
    return sentences(quality, language) if quality and not quality.passed else []


def _quality(row: Row) -> Quality | None:
    return row.artefact.proof.evidence.quality if row.artefact else None


def tree(row: Row) -> dict[str, Any]:
    """For JSON."""
    evidence, quality = row.artefact.proof.evidence if row.artefact else None, _quality(row)
    return {
        "network": row.network,
        "recipe": row.recipe,
        "folder": str(row.artefact.folder) if row.artefact else None,
        "unchanged": row.unchanged,
        "proven": bool(row.artefact and row.artefact.proof.holds),
        "served": bool(row.artefact and row.artefact.proof.served),
        "snr_db": evidence.worst if evidence and math.isfinite(evidence.worst) else None,
        "exact": bool(evidence and evidence.exact),
        "quality": dict(quality.figures) if quality else None,
        "allowed": quality.allowed if quality else "",
        "figures": dict(evidence.figures) if evidence else {},
        "remarks": [*_own(row, ENGLISH), *_heard(row, ENGLISH)],
    }
