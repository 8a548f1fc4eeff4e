"""Changed settings are taken while the server runs, or rejected with a reason, and all stays as it is."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from sonorant.errors import SonorantError
from sonorant.gateway import Gateway
from sonorant.gateway.watch import watch
from sonorant.in_force import FIXED, PROCESS, InForce, Source, among, changeable, changes
from sonorant.observe import logs
from sonorant.served import Served
from sonorant.settings import Settings

logger = logging.getLogger(__name__)


class Reloading:
    """Watches the settings file and the lexicon; SIGHUP asks for another look at once."""

    def __init__(self, source: Source, in_force: InForce, gateway: Gateway, models: Served) -> None:
        self._source, self._in_force, self._gateway, self._models = source, in_force, gateway, models
        self._asked = asyncio.Event()
        self._lexicon = in_force.settings.lexicon
        """that was named last, also by settings that were rejected: it may be what was wrong with them"""
        self._words = _words(in_force.settings)
        self._on_terminal = _on_terminal()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Takes changes until this is left."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        tasks = [
            asyncio.create_task(watch(self._files, self._asked.set)),
            asyncio.create_task(self._run()),
        ]
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def reload(self) -> None:
        """Read the settings again, and take or reject them."""
        old = self._in_force.settings
        try:
            read = await asyncio.to_thread(self._source.read)
            self._lexicon = read.lexicon
            new = changeable(old, read)
            cards = await asyncio.to_thread(self._models.check, new)
            words = await asyncio.to_thread(_words, new)
        except SonorantError as error:
            self._gateway.notice = str(error)
            logger.error("the settings stay as they are, for the changed ones are wrong: %s", error)
            return
        self._gateway.notice = ""
        if fixed := among(changes(old, read), FIXED):
            logger.warning("these settings are taken when the server is started again: %s", ", ".join(fixed))
        names = changes(old, new)
        if words != self._words and "lexicon" not in names:
            names.append("lexicon")
        self._words = words
        if not names:
            logger.info("no setting has changed that can be taken now")
            return
        self._in_force.change(new)
        if among(names, ["log"]):
            logs.configure(new.log)
        self._models.change(new, cards, renewed=bool(among(names, PROCESS)))
        self._gateway.serve(self._models.replicas)
        logger.info("changed settings are in force: %s", ", ".join(names))

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.reload()
            except Exception:  # a fault of ours: the server goes on, and the next change is tried
                logger.exception("the settings could not be read again")

    def _files(self) -> Iterator[Path]:
        lexicons = {self._lexicon, self._in_force.settings.lexicon} - {None}
        yield from {*self._source.files(), *filter(None, lexicons)}

    def _hung_up(self) -> None:
        if self._on_terminal and not _on_terminal():  # the terminal is gone, and this server with it
            os.kill(os.getpid(), signal.SIGTERM)
        self._asked.set()


def _words(settings: Settings) -> bytes:
    """What the lexicon says."""
    try:
        return settings.lexicon.read_bytes() if settings.lexicon else b""
    except OSError:
        return b""


def _on_terminal() -> bool:
    """Whether this process has a terminal that may hang up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
