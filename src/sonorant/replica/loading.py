"""A model on its way into memory: its files, its networks on engines, its pipeline."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.catalogue import Catalogue, ModelCard
from sonorant.families import family
from sonorant.observe.figures import Figures
from sonorant.replica.device import Device
from sonorant.replica.engines import Networks
from sonorant.replica.host import Hosts, ReplicaHost
from sonorant.replica.identity import identity
from sonorant.tasks import Pronunciation, Servable

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress
    from sonorant.networks.engines.options import Value

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A model in memory."""

    host: ReplicaHost
    pipeline: Servable
    artefact: str
    """as `Described.artefact` has it"""


@dataclass(frozen=True)
class Loading:
    """What is loaded, and how. Both steps block."""

    card: ModelCard
    folder: Path | None
    """the user's own, which is served as it is; None = what the catalogue names"""
    catalogue: Catalogue
    device: Device
    options: dict[str, Value]
    lexicon: tuple[Pronunciation, ...]
    precision: str
    networks: Networks
    hosts: Hosts

    def fetch(self, progress: Progress | None) -> Path:
        """The folder with its files, which are pulled where they are missing."""
        return self.folder or self.catalogue.ensure(self.card, progress=progress)

    def load(self, folder: Path, figures: Figures) -> Loaded:
        """`figures` take what is measured of its runs. Raises ModelError, SettingsError."""
        host = self.hosts(
            self.card, self.catalogue, self.device, self.options, figures, self.precision, self.networks
        )
        pipeline = family(self.card.family).load(self.card, folder, host)
        host.check()
        artefact = identity(
            self.card, self.folder, self.device.name, self.options, self.lexicon, host.identities
        )
        for prepared in host.prepared:
            logger.info("%s runs on %s", self.card.name, prepared.folder)
        return Loaded(host, pipeline, artefact)
