"""This machine, examined: what it has, what does not fit, how fast it is, and what it should serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sonorant.doctor import compatibility, roofline, speed
from sonorant.doctor.advice import Advice, advice
from sonorant.doctor.compatibility import Finding, Need
from sonorant.doctor.environment import Environment, environment
from sonorant.doctor.minimum import shortcomings, verdict
from sonorant.settings import Settings


@dataclass(frozen=True, slots=True)
class Examination:
    environment: Environment
    findings: tuple[Finding, ...]
    """the machine's first, and errors before warnings"""
    needs: tuple[Need, ...]
    speed: speed.Speed | None
    """None = it was not to be measured"""
    advice: Advice

    @property
    def fits(self) -> bool:
        """Whether the machine meets the minimum and nothing installed is at odds."""
        return all(finding.level != "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """For programs; sentences in both languages."""
        return {
            "fits": self.fits,
            "minimum": verdict(self.environment),
            "findings": [asdict(finding) for finding in self.findings],
            "environment": asdict(self.environment),
            "projects": [asdict(need) | {"fits": need.fits} for need in self.needs],
            "measured": asdict(self.speed) if self.speed else None,
            "recommended": asdict(self.advice),
            "estimates": {
                "kind": "roofline",
                "assumed": roofline.tables()["assumed"],
                "data_sheets": roofline.tables()["gpu"],
                "gpus": [asdict(one) for one in roofline.estimates()],
            },
        }


def examine(settings: Settings, measured: bool, progress: Callable[[str], None]) -> Examination:
    """Blocks for seconds; three minutes at the very worst, and two more where `measured`."""
    progress("looking at the machine and its libraries")
    found = environment(settings.catalogue.home.expanduser())
    findings = sorted(
        [*shortcomings(found), *compatibility.misfits(found)], key=lambda finding: finding.level != "error"
    )
    fast = None
    if measured:
        progress("measuring how fast it is")
        fast = speed.measure(settings, found.processor.usable)
    needs = compatibility.needs(compatibility.facts(found))
    return Examination(found, tuple(findings), tuple(needs), fast, advice(found, findings, fast, settings))
