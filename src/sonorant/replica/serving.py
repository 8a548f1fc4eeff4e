"""The replicas of a process, from their first load to their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sonorant.audio.sandbox import Sandbox
from sonorant.catalogue import Catalogue
from sonorant.errors import EngineError, SettingsError
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.replica.device import Device
from sonorant.replica.host import Hosts, ReplicaHost
from sonorant.replica.local import LocalReplica
from sonorant.settings import Settings
from sonorant.tasks import Cost, Task
from sonorant.text.lexicon import read_lexicon

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress

logger = logging.getLogger(__name__)


HEARING = frozenset({Task.TRANSCRIPTION, Task.EMBEDDING, Task.VAD, Task.SCORING, Task.VOCODING})
"""tasks that need decoders"""


class Replicas:
    """All replicas of this process, with the device and the sandbox that they share."""

    def __init__(
        self,
        settings: Settings,
        models: Sequence[str] | None = None,
        known: Cost | None = None,
        hosts: Hosts = ReplicaHost,
    ) -> None:
        """`known`: what requests cost, where that was measured before. `hosts`: see LocalReplica.

        Raises UnknownModelError, LayoutError, SettingsError, and RequestError for a bad lexicon.
        """
        OnnxRuntimeOptions(settings.onnxruntime)
        self.device, self.sandbox = Device(settings.device, lanes=settings.lanes), Sandbox()
        catalogue = Catalogue(settings.catalogue)
        lexicon = read_lexicon(settings.lexicon) if settings.lexicon else ()
        self.all = [
            LocalReplica(
                model,
                catalogue,
                self.device,
                self.sandbox,
                max_seconds=settings.limits.audio_seconds,
                options=settings.onnxruntime,
                lexicon=lexicon,
                known=known,
                precision=settings.precision,
                networks=settings.networks,
                hosts=hosts,
            )
            for model in (settings.models if models is None else models)
        ]
        names = [replica.name for replica in self.all]
        if twice := {name for name in names if names.count(name) > 1}:
            raise SettingsError(
                f"Two models are both called {', '.join(sorted(twice))}",
                why="A request names its model, so it could not tell them apart",
                remedy="Serve one of them, or rename the folder",
            )

    async def start(self, progress: Progress | None = None) -> None:
        """Load one after another: loading side by side would slow each of them down."""
        if any(replica.task in HEARING for replica in self.all):
            try:
                await self.sandbox.start()
            except EngineError as error:  # a recording will try to start them again
                logger.error("recordings cannot be decoded: %s", error)
        for replica in self.all:
            await replica.start(progress)

    async def close(self) -> None:
        """End every process and thread and free every engine."""
        await self.sandbox.close()
        await asyncio.to_thread(self.device.close)
        for replica in self.all:
            replica.stop()
