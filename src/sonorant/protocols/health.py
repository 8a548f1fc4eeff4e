"""Whether the server lives, and whether it can work."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from sonorant.gateway import Gateway
from sonorant.locale import translated
from sonorant.protocols.language import language_headers, language_of
from sonorant.tasks import State


class ModelHealth(BaseModel):
    """Where a model stands."""

    name: str
    state: str
    reason: str
    """why it failed, or is being started again, with the remedy"""
    notice: str = ""
    """what is wrong although it works: why its changed files were rejected"""


class Health(BaseModel):
    """ok: all models work; degraded: some, or one is being started again, or steps are taken; loading: not
    all have settled yet, or none works; failed: none works."""

    status: Literal["ok", "degraded", "loading", "failed"]
    models: list[ModelHealth]
    notice: str = ""
    """what is wrong although the server works: why changed settings were rejected"""
    steps: dict[str, list[str]] = {}
    """what is done while there is too much load, or too little memory"""


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


def routes(gateway: Gateway) -> APIRouter:
    """The probes. A model is READY when its warm-up inference has run, and stays so only while it works:
    one that has been idle for a while is tried before the answer (`gateway.probes`)."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live", summary="200 while the event loop runs")
    async def live() -> Alive:
        return Alive()

    unready: dict[int | str, dict[str, Any]] = {
        503: {"model": Health, "description": "Still loading, or no model works"}
    }

    @router.get("/health", summary="The same as /health/ready", responses=unready)
    @router.get(
        "/health/ready",
        summary="200 when every model has settled and at least one works",
        responses=unready,
    )
    async def ready(request: Request, response: Response) -> Health:
        await gateway.probes.refresh()
        health = health_of(gateway, language_of(request.scope))
        response.headers.update(language_headers(request.scope))
        response.status_code = 200 if health.status in ("ok", "degraded") else 503
        return health

    return router


def health_of(gateway: Gateway, language: str) -> Health:
    """Where the models stand now; the reasons are in `language`."""
    replicas = gateway.router.replicas
    states = [replica.state for replica in replicas]
    status: Literal["ok", "degraded", "loading", "failed"]
    works = (State.READY, State.UNLOADED)
    if State.LOADING in states and not (gateway.settled and any(state in works for state in states)):
        status = "loading"
    elif all(state in (State.FAILED, State.STOPPED) for state in states):
        status = "failed"
    else:
        gateway.settled = True  # what loads from now on, loads beside what works
        steady = all(state in works for state in states) and not gateway.standing.steps
        status = "ok" if steady else "degraded"
    return Health(
        status=status,
        models=[
            ModelHealth(
                name=r.name,
                state=r.state,
                reason=translated(r.reason, language),
                notice=translated(r.notice, language),
            )
            for r in replicas
        ],
        notice=translated(gateway.notice, language),
        steps=gateway.standing.steps,
    )
