"""What of a model can be chosen: its networks, what stands for each of them here, and whether they batch.

The model is loaded as it is served, in a child.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sonorant.catalogue import Catalogue, ModelCard
from sonorant.errors import EngineError, RequestError
from sonorant.families import resolve
from sonorant.networks import Network, Signature
from sonorant.networks.derived import kept
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions, Value
from sonorant.networks.engines.torch import Torch
from sonorant.networks.prepared import Choice, speed
from sonorant.networks.targets import ONNX_RUNTIME
from sonorant.observe.figures import Figures
from sonorant.replica.device import Device
from sonorant.replica.engines import EXPORT, PUBLISHED, Networks
from sonorant.replica.host import ReplicaHost
from sonorant.replica.identity import identity
from sonorant.replica.serving import Replicas
from sonorant.settings import Settings
from sonorant.tasks import State, Task

SERVED = frozenset({Task.SPEECH, Task.TRANSCRIPTION, Task.VOCODING})
"""tasks that have an endpoint, at which they can be put under load"""


@dataclass(frozen=True, slots=True)
class Choices:
    """A network, or several of one kind (the voices of a model), and what may be set for them."""

    model: str
    """that has them: the one that is looked at, or a part of it"""
    networks: tuple[str, ...]
    share: float
    """of the time that all networks computed, as the model was tried"""
    threads: int
    """of one run as it is; 0 = none can be chosen"""
    artefacts: dict[str, float]
    """what is proven for all of them and their own files, by the names of settings: times the speed of their
    own files, as it was measured with the proofs; the fastest first"""
    in_use: str
    """which of these computes where the settings leave it open; "" = not the same for each"""
    torch: bool
    """whether torch can compute them, while something else does"""
    loop: bool = False
    """whether it is a small network of a loop, which its family gives one thread"""


@dataclass(frozen=True, slots=True)
class Look:
    """A model as it is on this machine."""

    name: str
    task: Task
    languages: tuple[str, ...]
    choices: tuple[Choices, ...]
    """those that compute most first"""
    batched: bool
    """whether calls of several requests run together"""
    slots: int
    """pieces of work that are computed at a time"""
    identity: str
    """of its bytes and those of what stands for them"""
    artefacts: dict[str, str]
    """network and recipe → identity, of all that may be chosen"""


@dataclass(slots=True)
class _Seen:
    """A network as it was made."""

    model: str
    network: str
    threads: int = 0
    loop: bool = False
    artefacts: dict[str, str] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)
    in_use: str = ""
    """recipe; "" = its own file"""
    torch: bool = False
    signature: Signature | None = None


class LookingHost(ReplicaHost):
    """A ReplicaHost that remembers what may stand for each network. Parts have hosts of their own."""

    seen: dict[tuple[str, str], _Seen]
    warmed: dict[str, float]

    def engine(
        self,
        network: str,
        path: Path,
        *,
        exposed: tuple[str, ...] = (),
        published: bool = False,
        **defaults: Any,
    ) -> Engine:
        seen = self._see(network, defaults)
        if not published:
            self._offer(seen, path, exposed)
        before = len(self.prepared)
        engine = super().engine(network, path, exposed=exposed, published=published, **defaults)
        self._used(seen, before)
        return engine

    def session(
        self, network: str, path: Path, *, derived: bytes | None = None, **defaults: Any
    ) -> OnnxRuntime:
        seen = self._see(network, defaults)
        file = path if derived is None else kept(self.artefacts, path, network, derived)
        if file is not None:
            self._offer(seen, file, only=ONNX_RUNTIME)
        before = len(self.prepared)
        engine = super().session(network, path, derived=derived, **defaults)
        self._used(seen, before)
        return engine

    def torch(self, network: str, path: Path, build: Callable[[], Any], signature: Signature) -> Engine:
        engine = super().torch(network, path, build, signature)
        file = self._export(self.checkpoints[-1])
        if file is None:
            self._see(network, {}).threads = 0
            return engine
        if isinstance(engine, Torch):  # the settings say so; it did not go through `engine`
            self._offer(self._see(network, {}), file)
        self.seen[self._card.name, network].torch = _installed("torch")
        return engine

    def network(self, name: str, signature: Signature, engine: Engine) -> Network:
        if seen := self.seen.get((self._card.name, name)):
            seen.signature = signature
        return super().network(name, signature, engine)

    async def warm_up(self) -> None:
        await super().warm_up()
        self.warmed.update(computed(self._figures))

    def _see(self, network: str, defaults: Mapping[str, Value]) -> _Seen:
        own = self._engines.wanted(network).threads
        options = OnnxRuntimeOptions({**defaults, **self._chosen}).values
        threads = own or int(options["intra_op_num_threads"])
        seen = _Seen(self._card.name, network, threads, "intra_op_num_threads" in defaults)
        self.seen[seen.model, network] = seen
        return seen

    def _offer(self, seen: _Seen, path: Path, exposed: tuple[str, ...] = (), only: str = "") -> None:
        """What is proven and may be named in the settings, by the rule that serving goes by."""
        for artefact in self.artefacts.all(path, "prepared"):
            recipe = artefact.proof.bindings.recipe.partition(".")[2]
            if Choice(self.artefacts, "auto", only, recipe).of(path, exposed):
                seen.artefacts[recipe] = " ".join(sorted(artefact.proof.derived.values()))
                seen.speeds[recipe] = speed(artefact)

    def _used(self, seen: _Seen, before: int) -> None:
        """What stands for it, if anything does: the last of those in use, of which there were `before`."""
        if len(self.prepared) > before:
            seen.in_use = self.prepared[-1].proof.bindings.recipe.partition(".")[2]

    def _beside(self, card: ModelCard) -> ReplicaHost:
        return _host(
            self.seen, self.warmed, card, self._catalogue, self._device, self._chosen, self._figures,
            self._of_part, self._set,
        )  # fmt: skip


def _host(
    seen: dict[tuple[str, str], _Seen],
    warmed: dict[str, float],
    card: ModelCard,
    catalogue: Catalogue,
    device: Device,
    chosen: dict[str, Value],
    figures: Figures,
    precision: str,
    networks: Networks,
) -> LookingHost:
    host = LookingHost(card, catalogue, device, chosen, figures, precision, networks)
    host.seen, host.warmed = seen, warmed
    return host


def computed(figures: Figures) -> dict[str, float]:
    """Seconds that each network has computed."""
    return {
        figure.labels[0]: figure.value
        for figure in figures.snapshot().figures
        if figure.name == "run_seconds"
    }


def check(card: ModelCard) -> None:
    """Raises RequestError for a model that is not served by itself."""
    if card.task not in SERVED:
        raise RequestError(
            f"{card.name} does {card.task}, for which there is no endpoint to put it under load at",
            why="It is a part of other models, which bring it with them",
            remedy="Tune a model that it is a part of",
            param="model",
        )


def look(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`Look` as JSON, in a child. Raises what loading the model raises."""
    chosen = Settings.model_validate(settings)
    catalogue = Catalogue(chosen.catalogue)
    card, folder = resolve(model, catalogue)
    seen: dict[tuple[str, str], _Seen] = {}
    warmed: dict[str, float] = {}
    hosts: list[LookingHost] = []
    figures: list[Figures] = []

    def host(*of: Any) -> LookingHost:
        hosts.append(_host(seen, warmed, *of))
        figures.append(of[4])
        return hosts[-1]

    async def load() -> Look:
        replicas = Replicas(chosen, [model], hosts=host)
        replica = replicas.all[0]
        await replicas.start()
        if replica.state is not State.READY:
            raise replica.failure
        described = replica.describe()
        spent = {name: seconds - warmed.get(name, 0.0) for name, seconds in computed(figures[0]).items()}
        found = Look(
            name=card.name,
            task=card.task,
            languages=described.languages,
            choices=tuple(sorted(_grouped(seen.values(), spent), key=lambda one: -one.share)),
            batched=described.batched,
            slots=replicas.device.slots,
            identity=identity(
                card, folder, chosen.device, chosen.onnxruntime, (), sorted(hosts[0].identities)
            ),
            artefacts={
                f"{one.model} {one.network} {recipe}": digest
                for one in seen.values()
                for recipe, digest in one.artefacts.items()
            },
        )
        await replicas.close()
        return found

    return dict(msgspec.to_builtins(asyncio.run(load())))


def _grouped(seen: Any, spent: Mapping[str, float]) -> list[Choices]:
    """Networks of one model with the same signature are of one kind."""
    groups: list[list[_Seen]] = []
    for one in seen:
        if one.signature is None:  # a session that computes no network by itself
            continue
        kind = next((g for g in groups if _alike(g[0], one)), None)
        if kind is None:
            groups.append([one])
        else:
            kind.append(one)
    whole = sum(max(0.0, spent.get(one.network, 0.0)) for group in groups for one in group) or 1.0
    found = []
    for group in groups:
        first = group[0]
        own = EXPORT if first.torch else PUBLISHED
        speeds = {recipe: min(one.speeds.get(recipe, 0.0) for one in group) for recipe in first.artefacts}
        speeds = {own: 1.0} | {
            recipe: times for recipe, times in speeds.items() if all(recipe in one.artefacts for one in group)
        }
        found.append(
            Choices(
                model=first.model,
                networks=tuple(one.network for one in group),
                share=sum(max(0.0, spent.get(one.network, 0.0)) for one in group) / whole,
                threads=first.threads,
                artefacts=dict(sorted(speeds.items(), key=lambda one: -one[1])),
                in_use=(first.in_use or own) if len({one.in_use for one in group}) == 1 else "",
                torch=first.torch,
                loop=first.loop,
            )
        )
    return found


def _alike(one: _Seen, other: _Seen) -> bool:
    return (one.model, one.signature, one.loop) == (other.model, other.signature, other.loop)


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def read(tree: Mapping[str, Any]) -> Look:
    """What `look` has returned."""
    try:
        return msgspec.convert(tree, Look)
    except msgspec.ValidationError as error:
        raise EngineError("The model was looked at in vain", why=str(error), remedy="Try again") from error
