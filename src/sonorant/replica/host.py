"""What families build on: engines with this replica's options, lanes on its device, its small parts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sonorant.catalogue import Catalogue, ModelCard
from sonorant.errors import EngineError, ModelError
from sonorant.families import family
from sonorant.networks import Network, Signature
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.checkpoint import Checkpoint, exported
from sonorant.networks.derived import kept
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime, described
from sonorant.networks.engines.options import Value
from sonorant.networks.engines.torch import Torch
from sonorant.networks.engines.torch_options import TorchOptions
from sonorant.networks.prepared import TRIAL
from sonorant.networks.targets import ONNX_RUNTIME
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.replica.device import Device
from sonorant.replica.engines import EXPORT, PUBLISHED, Engines, Networks
from sonorant.replica.lane import DeviceLane
from sonorant.replica.warm_up import warm_up

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class ReplicaHost:
    """The `families.host.Host` of one model; its parts share the device."""

    def __init__(
        self,
        card: ModelCard,
        catalogue: Catalogue,
        device: Device,
        chosen: dict[str, Value],
        figures: Figures | None = None,
        precision: str = "auto",
        networks: Networks | None = None,
    ) -> None:
        """`figures` take what is measured of the runs, those of the parts included. `precision`: which
        prepared artefacts may stand for model files (networks.prepared.Choice). `networks`: of which model
        what computes which network, where that is set.
        """
        self._card, self._catalogue, self._device, self._chosen = card, catalogue, device, chosen
        self._figures, self._precision, self._set = figures or Figures(), precision, networks or {}
        own = next((self._set[name] for name in (card.name, *card.aliases) if name in self._set), {})
        self._engines = Engines(card.name, device.name, chosen, precision, own, self._figures)
        self._of_parts: list[Artefact] = []
        self._work = Meter(self._figures, "work")
        self._own: list[str] = []
        """names of the model's own networks"""
        self.networks: list[Network] = []
        self.checkpoints: list[Checkpoint] = []
        """what of the model can be exported"""

    @property
    def device(self) -> str:
        return self._device.name

    @property
    def threads(self) -> int:
        return int(self._chosen.get("intra_op_num_threads", 0))

    @property
    def artefacts(self) -> Artefacts:
        return Artefacts(self._catalogue.store.home, described(self._device.name), self._device.name)

    @property
    def prepared(self) -> list[Artefact]:
        """Those in use."""
        return self._engines.prepared

    def engine(
        self,
        network: str,
        path: Path,
        *,
        exposed: tuple[str, ...] = (),
        published: bool = False,
        **defaults: Any,
    ) -> Engine:
        if published:
            return self._engines.published(network, path, exposed, defaults=defaults)
        return self._engines.engine(network, path, self.artefacts, exposed, defaults)

    def session(
        self, network: str, path: Path, *, derived: bytes | None = None, **defaults: Any
    ) -> OnnxRuntime:
        if derived is not None:
            file = kept(self.artefacts, path, network, derived)
            if file is None:
                self._engines.refuse_prepared(network)
                return self._engines.published(network, path, (), derived, defaults)
            path = file
        return self._engines.session(network, path, self.artefacts, defaults)

    @property
    def identities(self) -> list[str]:
        """Of the artefacts in use, the parts' included: with others the same request may sound otherwise."""
        used = (*self.prepared, *self._of_parts)
        return sorted(digest for artefact in used for digest in artefact.proof.derived.values())

    def check(self) -> None:
        """Once all is loaded. Raises SettingsError for a network in the settings that the model does not
        have, and ModelError where a precision was asked for that none of its networks has."""
        self._engines.check(self._own)

    def torch(self, network: str, path: Path, build: Callable[[], Any], signature: Signature) -> Engine:
        checkpoint = Checkpoint(path, build, signature)
        self.checkpoints.append(checkpoint)
        wanted = self._engines.wanted(network)
        options = TorchOptions(**wanted.torch.model_dump())
        if wanted.engine == "torch" or wanted.artefact == PUBLISHED:
            if wanted.artefact not in ("", PUBLISHED) or wanted.engine not in ("", "torch"):
                what = f"{wanted.engine or wanted.artefact} is not what computes a checkpoint"
                self._engines.refuse(network, what, 'Name engine = "torch", or an artefact, not both')
            return self._torch(checkpoint, options)
        if file := self._export(checkpoint):
            return self.engine(network, file)
        if recipe := wanted.artefact or wanted.engine:
            make = f"sonorant prepare {self._card.name} --to {EXPORT if recipe == ONNX_RUNTIME else recipe}"
            why = "It is a torch checkpoint, of which no export is proven on this machine"
            self._engines.refuse(network, why, f"Make it: `{make}`, or name torch in the settings")
        return self._torch(checkpoint, options)

    def _torch(self, checkpoint: Checkpoint, options: TorchOptions) -> Torch:
        return Torch(checkpoint.path, checkpoint.build, checkpoint.signature, self._device.name, options)

    def _export(self, checkpoint: Checkpoint) -> Path | None:
        """The proven export, where ONNX Runtime computes on the device at all: torch may where it cannot."""
        try:
            artefacts = self.artefacts
        except EngineError as error:
            logger.debug("%s: no export is looked for: %s", checkpoint.path.name, error)
            return None
        return exported(checkpoint, artefacts)

    def network(self, name: str, signature: Signature, engine: Engine) -> Network:
        self._own.append(name)
        lane = DeviceLane(self._device, signature, Meter(self._figures, name))
        network = Network(name, signature, engine, lane)
        self.networks.append(network)
        return network

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._device.run(self._work.timed(partial(work, *args, **kwargs)))

    def part(self, role: str) -> Any:
        if role not in self._card.parts:
            raise ModelError(
                f"The card of {self._card.name} names no model for the part {role!r}",
                remedy=f'Add it to the card: parts.{role} = "…"',
            )
        card = self._catalogue.find(self._card.parts[role])
        host = self._beside(card)
        part = family(card.family).load(card, self._catalogue.ensure(card), host)
        host.check()
        self.networks += host.networks
        self.checkpoints += host.checkpoints
        self._of_parts += host.prepared
        return part

    def _beside(self, card: ModelCard) -> ReplicaHost:
        """The host of a part."""
        return ReplicaHost(
            card, self._catalogue, self._device, self._chosen, self._figures, self._of_part, self._set
        )

    @property
    def _of_part(self) -> str:
        """The precision of parts: one that was asked for is the model's own."""
        tried = self._precision == "float32" or self._precision.startswith(TRIAL)
        return "float32" if tried else "auto"

    async def warm_up(self) -> None:
        """Run every network on feeds made from its signature, and learn its cost. Raises EngineError."""
        for network in self.networks:
            await warm_up(network, self._device)

    async def run_all(self) -> None:
        """Run every network once. Raises EngineError."""
        for network in self.networks:
            await network.run(**network.signature.example())

    async def shrink(self) -> None:
        """Let every engine give back what its largest runs needed, which it does at the end of a run."""
        for network in self.networks:
            run = network.engine.prepare(network.signature.example(size="min"), large=True)
            try:
                await self._device.run(run, run.stop)
            except EngineError as error:
                logger.debug("%s: not shrunk: %s", network.name, error)

    @property
    def batched(self) -> bool:
        """Whether any network runs what several requests want together."""
        return any(isinstance(n.lane, DeviceLane) and n.lane.batched for n in self.networks)

    def close(self) -> None:
        """Free every engine."""
        for network in self.networks:
            network.engine.close()


Hosts = Callable[[ModelCard, Catalogue, Device, dict[str, Value], Figures, str, Networks], ReplicaHost]
"""makes the host of a model: ReplicaHost, or one that looks on"""
