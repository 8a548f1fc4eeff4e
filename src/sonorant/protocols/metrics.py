"""GET /metrics: for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from sonorant.gateway import Gateway


def routes(gateway: Gateway) -> APIRouter:
    """The endpoint."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/metrics",
        summary="Metrics in Prometheus' text format",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        await gateway.metrics.read()
        return Response(gateway.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
