"""A model that is tried, and what the gate says of a change to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sonorant.catalogue import Catalogue
from sonorant.errors import SonorantError
from sonorant.families import family
from sonorant.networks.checkpoint import exported
from sonorant.prepare.export import export_checkpoint
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.quality import Figures
from sonorant.prepare.record import RecordingHost
from sonorant.replica.device import Device
from sonorant.settings import load_settings

T = TypeVar("T")

FAULT, HONEST = "fault", "honest"


@dataclass(frozen=True)
class Found:
    """What the gate said of one change."""

    model: str
    change: str
    kind: str
    figures: Figures | None
    failed: tuple[str, ...]
    why: str = ""
    """it does not run"""

    @property
    def right(self) -> bool:
        return bool(self.failed or self.why) == (self.kind == FAULT)


def found(model: str, change: str, kind: str, answer: Callable[[], Figures]) -> Found:
    try:
        figures = answer()
    except SonorantError as error:
        return Found(model, change, kind, None, (), str(error.why or error))
    verdict = judge(figures, thresholds())
    return Found(model, change, kind, figures, tuple(each.figure for each in verdict.failed))


def chosen(table: Mapping[str, T], only: Sequence[str]) -> dict[str, T]:
    """What of it is named in `only`; all where nothing is."""
    return {label: each for label, each in table.items() if not only or label in only}


def catalogue() -> Catalogue:
    return Catalogue(load_settings().catalogue)


def loaded(name: str) -> tuple[RecordingHost, Any]:
    """Its pipeline on engines that remember; a checkpoint is exported where it has not been."""
    found_in = catalogue()
    card = found_in.find(name)
    device = Device("cpu")
    host = RecordingHost(card, found_in, device, {})
    pipeline = family(card.family).load(card, found_in.ensure(card), host)
    missing = [one for one in host.checkpoints if not exported(one, host.artefacts)]
    for one in missing:
        export_checkpoint(one, host.artefacts)
    if missing:
        host = RecordingHost(card, found_in, device, {})
        pipeline = family(card.family).load(card, found_in.ensure(card), host)
    return host, pipeline
