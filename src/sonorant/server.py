"""The server's composition: replicas in this process, the gateway before them, uvicorn around it."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn

from sonorant import __version__
from sonorant.gateway import Gateway
from sonorant.protocols.app import create_app
from sonorant.replica import Replicas, open_replicas
from sonorant.settings import Settings

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
"""connections that the kernel holds while all are being accepted"""


def run(settings: Settings, progress: Progress | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, within `server.drain_seconds`, and end with 0.

    Raises UnknownModelError, LayoutError and SettingsError before anything listens.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # uvicorn raises the signal again when it has obeyed it: an end that was asked for is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    replicas = Replicas(settings)
    gateway = Gateway(replicas.all, settings.limits)
    app = create_app(gateway, settings, __version__, open_replicas(replicas, progress))
    server = settings.server
    logger.info(
        "Sonorant %s listens on http://%s:%s; the interface is described at /docs",
        __version__,
        server.host,
        server.port,
    )
    uvicorn.run(
        app,
        host=server.host,
        port=server.port,
        http="h11",
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=server.drain_seconds,
        server_header=False,
    )
