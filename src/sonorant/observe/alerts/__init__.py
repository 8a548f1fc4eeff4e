"""Alert rules for Prometheus, as a file of this package."""

from __future__ import annotations

from importlib.resources import files


def rules() -> str:
    """sonorant.rules.yml: what to list under `rule_files` of Prometheus."""
    return (files(__name__) / "sonorant.rules.yml").read_text(encoding="utf-8")
