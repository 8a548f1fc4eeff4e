"""The models of a server: their cards, their files, and a process for each."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.catalogue import Catalogue, ModelCard
from sonorant.catalogue.part import Abandonable
from sonorant.errors import SettingsError, UnknownModelError
from sonorant.families.local import REVISION
from sonorant.gateway.keeper import Keeper
from sonorant.gateway.memory import Memory
from sonorant.gateway.processes import Forkery, Process
from sonorant.gateway.router import ENDPOINTS
from sonorant.gateway.supervised import SupervisedReplica
from sonorant.gateway.supervisor import Supervisor
from sonorant.orders import Orders
from sonorant.settings import Settings
from sonorant.tasks import Cost

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress


log = logging.getLogger("sonorant.server")

PROCESS_BYTES = 150 * 2**20
"""of a process before it holds a model, and"""
ROOM = 2.5
"""times a model's files: what it needs until it has been measured"""


Cards = dict[str, tuple[str, ModelCard]]
"""name → the model as it stands in the settings, and its card"""


class Served:
    """What `settings.models` names, each supervised in a process of its own."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        """Raises UnknownModelError, LayoutError, SettingsError, and RequestError for a bad lexicon."""
        self._settings, self._pulling = settings, Abandonable(progress)
        self._catalogue, self._forkery = Catalogue(settings.catalogue), Forkery()
        self.replicas: list[SupervisedReplica] = []
        self._cards = self.check(settings)
        memory = Memory([], settings.memory)
        self._supervisor = Supervisor(self._forkery, memory, self._pull, self._files)
        self.replicas = [self._replica(*card) for card in self._cards.values()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The processes: begun when this is entered, ended when it is left."""
        async with self._supervisor.running(self.replicas):
            try:
                yield
            finally:
                self._pulling.abandon()

    def check(self, settings: Settings) -> Cards:
        """The models that `settings` name. Raises what the constructor raises.

        Those that are served already are not looked at again: their files are watched.
        """
        _check_settings(settings)
        if strange := set(settings.preload or ()) - set(settings.models):
            raise SettingsError(
                f"preload names {', '.join(sorted(strange))}, which is not among the models",
                remedy="Name it in `models`, too",
            )
        for model in sorted(set(settings.replicas.cores) - set(settings.models)):
            log.warning("replicas.cores names %s, which is not served here: nothing has these cores", model)
        models = {name for card in self._catalogue.cards for name in (card.name, *card.aliases)}
        cards: Cards = {}
        known = dict(self._cards[replica.name] for replica in self.replicas)
        for model in settings.models:
            card = known.get(model) or _card(model, self._catalogue)
            if card.name in cards:
                raise SettingsError(
                    f"Two models are both called {card.name}",
                    why="A request names its model, so it could not tell them apart",
                    remedy="Serve one of them, or rename the folder",
                )
            cards[card.name] = model, card
        for model in sorted(set(settings.networks) - models - cards.keys()):
            log.warning("networks names %s, which is no model of the catalogue and is not served here", model)
        return cards

    def change(self, settings: Settings, cards: Cards, *, renewed: bool) -> None:
        """Serve the models that `check` has found in `settings`, while `running` is entered.

        `renewed`: those that stay need new processes, too.
        """
        old, self._settings = self._cards, settings
        self._cards = old | cards  # those that leave still need theirs
        self._supervisor.memory.take(settings.memory)
        leaving = {replica.name: replica for replica in self.replicas}
        self.replicas = []
        for name, card in cards.items():
            replica = leaving.pop(name, None)
            if replica is None:
                replica = self._replica(*card)
                self._supervisor.add(replica)
            else:
                replica.take(settings.replicas, settings.limits.text_characters)
                if renewed or card[0] != old[name][0]:
                    self._supervisor.renew(replica)
            self.replicas.append(replica)
        for replica in leaving.values():
            self._supervisor.remove(replica)

    def _files(self, replica: SupervisedReplica) -> Iterator[Path]:
        """Those of the model and its parts; a local folder's are all that it holds."""
        model, card = self._cards[replica.name]
        if card.revision == REVISION:
            folder = Path(model).expanduser()
            yield from (path for path in folder.rglob("*") if path.is_file())
        for one in (card, *self._catalogue.parts(card)):
            yield from (self._catalogue.store.folder(one) / file.name for file in one.files)

    async def _pull(self, replica: SupervisedReplica) -> None:
        """Bring what is missing of the model and its parts."""
        _, card = self._cards[replica.name]
        for one in (card, *self._catalogue.parts(card)):
            await asyncio.to_thread(self._catalogue.pull, one, progress=self._pulling)

    async def _spawn(self, orders: Orders, known: Cost | None) -> Process:
        settings, model = orders.next(self._settings, self._cards[orders.keeper.name][0])
        spec = {"settings": settings.model_dump(mode="json"), "model": model}
        return await self._forkery.spawn(json.dumps(spec | {"known": known and asdict(known)}))

    def _replica(self, model: str, card: ModelCard) -> SupervisedReplica:
        known = card.described()
        replicas, preload = self._settings.replicas, self._settings.preload
        keeper = Keeper(
            known,
            lambda known: self._spawn(orders, known),
            replicas,
            need=PROCESS_BYTES + round(ROOM * sum(one.size for one in (card, *self._catalogue.parts(card)))),
            preload=preload is None or model in preload,
        )
        orders = Orders(keeper)
        return SupervisedReplica(keeper, replicas, self._settings.limits.text_characters)


def _card(model: str, catalogue: Catalogue) -> ModelCard:
    """Raises UnknownModelError, LayoutError, and SettingsError where no request could reach the model."""
    folder = Path(model).expanduser()
    try:
        if "/" in model or folder.name != model:
            raise UnknownModelError(model)
        card = catalogue.find(model)
    except UnknownModelError:
        if not folder.is_dir() and "/" not in model:
            raise
        from sonorant.families import recognise  # brings numpy and engines

        card = recognise(folder)
    if card.task not in ENDPOINTS:
        raise SettingsError(
            f"{card.name} does {card.task}, for which there is no endpoint to serve it at",
            why="It is a part of other models, which bring it with them",
            remedy=f'Leave it out of `models`, or use it in Python: sonorant.load("{card.name}")',
        )
    return card


def _check_settings(settings: Settings) -> None:
    """What every process would stumble over is said before the first is started."""
    if settings.onnxruntime:
        from sonorant.networks.engines.options import OnnxRuntimeOptions

        OnnxRuntimeOptions(settings.onnxruntime)
    if settings.lexicon:
        from sonorant.text.lexicon import read_lexicon

        read_lexicon(settings.lexicon)
