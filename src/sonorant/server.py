"""The server's composition: a process for each model, the gateway before them, uvicorn around it.

This process holds no model: it imports neither engines nor numpy, unless a local folder must be recognised.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from sonorant import __version__
from sonorant.errors import SettingsError
from sonorant.gateway import Gateway
from sonorant.in_force import InForce, Source
from sonorant.observe import logs, tracing
from sonorant.protocols.app import create_app
from sonorant.protocols.http import Http
from sonorant.reloading import Reloading
from sonorant.served import Served
from sonorant.settings import uninstalled_defaults

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
"""connections that the kernel holds while all are being accepted"""


def run(source: Source, progress: Progress | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, within `server.drain_seconds`, and end with 0.

    What `source` says is read again when its files change. Raises UnknownModelError, LayoutError and
    SettingsError (a taken port, too) before anything loads.
    """
    settings = source.read()
    logs.configure(settings.log)
    tracing.configure(settings.trace.endpoint)
    # uvicorn raises the signal again when it has obeyed it: an end that was asked for is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    models = Served(settings, progress)
    if "models" not in settings.model_fields_set:
        for model in uninstalled_defaults():
            logger.warning(
                "%s is not served: its library is not installed. "
                'Install it to hear more than English: pip install "sonorant[whisper]"',
                model,
            )
    gateway = Gateway(models.replicas, settings.limits, settings.server.keys, settings.cache)
    in_force = InForce(settings)
    in_force.follow(gateway.take)
    reloading = Reloading(source, in_force, gateway, models)
    app = create_app(gateway, in_force, __version__, _running(models, reloading))
    server = settings.server
    listener = _listen(server.host, server.port)
    host, port = listener.getsockname()[:2]
    logger.info(
        "Sonorant %s listens on http://%s:%s; the interface is described at /docs", __version__, host, port
    )
    config = uvicorn.Config(
        app,
        http=Http,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=server.drain_seconds,
        server_header=False,
    )
    in_force.follow(lambda now: setattr(config, "timeout_graceful_shutdown", now.server.drain_seconds))
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        tracing.shutdown()


@asynccontextmanager
async def _running(models: Served, reloading: Reloading) -> AsyncIterator[None]:
    async with models.running(), reloading.running():
        yield


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError where the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # with the protocol named, asyncio switches Nagle's algorithm off; without, every answer took 40 ms
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        raise SettingsError(
            f"The server cannot listen on {host}, port {port}",
            why=error.strerror or str(error),
            remedy="Choose another with --port (0 = any free one) or --host",
        ) from error
