"""A replica's host that looks on: its engines tell of their operators, its meters of when they ran."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sonorant.catalogue import Catalogue, ModelCard
from sonorant.networks import Network, Signature
from sonorant.networks.checkpoint import Checkpoint
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import Value
from sonorant.networks.engines.torch import Torch
from sonorant.networks.engines.torch_options import TorchOptions
from sonorant.networks.prepared import computing
from sonorant.observe.figures import Figures
from sonorant.prepare.profile import graph, ort_trace
from sonorant.prepare.profile.ort_trace import Run
from sonorant.prepare.profile.timeline import Timeline
from sonorant.prepare.profile.torch_trace import WatchedTorch
from sonorant.replica.device import Device
from sonorant.replica.engines import Networks
from sonorant.replica.host import ReplicaHost


@dataclass(slots=True)
class Watched:
    """A network whose operators are watched."""

    network: Network
    file: graph.File | None
    """None where the engine is neither ONNX Runtime nor torch"""
    runs: list[Run] = field(default_factory=list)
    full: bool = False
    """its profile holds no more: the last operators are missing"""

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def engine(self) -> Engine:
        return computing(self.network.engine)


@dataclass(slots=True)
class Watch:
    """All that is watched of a model, its parts included."""

    folder: Path
    """for the profiles that ONNX Runtime writes"""
    timeline: Timeline
    networks: list[Watched] = field(default_factory=list)
    files: dict[int, graph.File] = field(default_factory=dict)
    """by the identity of the engine"""
    _numbers: count[int] = field(default_factory=count)

    def host(
        self,
        card: ModelCard,
        catalogue: Catalogue,
        device: Device,
        chosen: dict[str, Value],
        figures: Figures,
        precision: str = "auto",
        networks: Networks | None = None,
    ) -> ReplicaHost:
        """A `replica.host.Hosts`."""
        figures.around = self.timeline.around
        return WatchingHost(self, card, catalogue, device, chosen, figures, precision, networks)

    def options(self) -> dict[str, Value]:
        """Of a session. ONNX Runtime names files by the second: each has a prefix of its own."""
        return {
            "enable_profiling": True,
            "profile_file_prefix": str(self.folder / f"session-{next(self._numbers)}"),
        }

    def network(self, network: Network) -> None:
        self.networks.append(Watched(network, self.files.get(id(network.engine))))

    def begin(self) -> None:
        """Watch what is to come; ONNX Runtime has done so since the session was made."""
        for watched in self.networks:
            if isinstance(watched.engine, WatchedTorch):
                watched.engine.begin()

    def end(self) -> None:
        """Stop watching, and read what was written. The engines compute on. Raises EngineError."""
        for watched in self.networks:
            if isinstance(watched.engine, WatchedTorch):
                watched.runs, watched.file = watched.engine.end(), watched.engine.file
            elif isinstance(watched.engine, OnnxRuntime) and watched.file is not None:
                session = watched.engine.session
                start = session.get_profiling_start_time_ns() / 1e9
                path = Path(session.end_profiling())
                watched.full = ort_trace.full(path)
                shift = self.timeline.shift if _is_time_of_day(start) else 0.0
                watched.runs = ort_trace.read(path, start + shift, watched.file.convolutions)
                path.unlink(missing_ok=True)


class WatchingHost(ReplicaHost):
    """A ReplicaHost whose sessions write profiles."""

    def __init__(
        self,
        watch: Watch,
        card: ModelCard,
        catalogue: Catalogue,
        device: Device,
        chosen: dict[str, Value],
        figures: Figures,
        precision: str,
        networks: Networks | None,
    ) -> None:
        super().__init__(card, catalogue, device, chosen, figures, precision, networks)
        self._watch = watch

    def engine(
        self,
        network: str,
        path: Path,
        *,
        exposed: tuple[str, ...] = (),
        published: bool = False,
        **defaults: Any,
    ) -> Engine:
        watched = {**defaults, **self._watch.options()}
        engine = super().engine(network, path, exposed=exposed, published=published, **watched)
        if isinstance(computing(engine), OnnxRuntime):
            self._watch.files[id(engine)] = graph.read(Path(engine.source), None)
        return engine

    def session(
        self, network: str, path: Path, *, derived: bytes | None = None, **defaults: Any
    ) -> OnnxRuntime:
        watched = {**defaults, **self._watch.options()}
        engine = super().session(network, path, derived=derived, **watched)
        standing = engine.source != str(path)  # an artefact
        self._watch.files[id(engine)] = graph.read(Path(engine.source), None if standing else derived)
        return engine

    def _torch(self, checkpoint: Checkpoint, options: TorchOptions) -> Torch:
        return WatchedTorch(checkpoint.path, checkpoint.build, checkpoint.signature, self.device, options)

    def network(self, name: str, signature: Signature, engine: Engine) -> Network:
        network = super().network(name, signature, engine)
        self._watch.network(network)
        return network

    def _beside(self, card: ModelCard) -> ReplicaHost:
        return self._watch.host(
            card, self._catalogue, self._device, self._chosen, self._figures, self._of_part, self._set
        )


def _is_time_of_day(start: float) -> bool:
    """Of the two clocks that ONNX Runtime's can be, by the standard library that it was built with."""
    return abs(start - time.time()) < abs(start - time.perf_counter())
