"""`sonorant observe`: files for the programs that watch a server."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sonorant.locale import language_of_terminal


class Shipped(StrEnum):
    """What there is."""

    ALERTS = "alerts"
    DASHBOARD = "dashboard"


def observe(
    what: Annotated[
        Shipped, typer.Argument(help="alerts: rules for Prometheus; dashboard: JSON for Grafana.")
    ],
) -> None:
    """Print alert rules or a dashboard for a server's metrics."""
    if what is Shipped.ALERTS:
        from sonorant.observe.alerts import rules

        typer.echo(rules(), nl=False)
    else:
        import json

        from sonorant.observe.dashboard import dashboard

        typer.echo(json.dumps(dashboard(language_of_terminal()), indent=2, ensure_ascii=False))
