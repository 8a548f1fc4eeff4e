"""What a family is given to build its pipeline on. `replica` implements it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from sonorant.networks import Network, Signature
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime

P = ParamSpec("P")
T = TypeVar("T")


class Host(Protocol):
    """The replica's side of the seam: engines, lanes, and the model's small parts."""

    @property
    def device(self) -> str:
        """cpu, cuda, cuda:1 … or auto, for a library that brings its own engine."""
        ...

    @property
    def threads(self) -> int:
        """Of one computation, where the user chose them (intra_op_num_threads); 0 = as the machine has."""
        ...

    @property
    def artefacts(self) -> Artefacts:
        """What this machine has derived from model files, and proven."""
        ...

    @property
    def prepared(self) -> Sequence[Artefact]:
        """Those of them that stand for files of this model, of the engines that were made so far."""
        ...

    def engine(
        self,
        network: str,
        path: Path,
        *,
        exposed: tuple[str, ...] = (),
        published: bool = False,
        **defaults: Any,
    ) -> Engine:
        """An engine on a model file, for the network of that name; `defaults` are ONNX Runtime's options,
        which the user's own override.

        It may be another engine, on a prepared artefact that is proven to stand for the file; `published`:
        never. `exposed` names tensors inside the graph that become outputs where the graph has them. Raises
        ModelError where the settings name for the network what is not there, or is not proven.
        """
        ...

    def session(
        self, network: str, path: Path, *, derived: bytes | None = None, **defaults: Any
    ) -> OnnxRuntime:
        """The same by ONNX Runtime for certain: for loops that keep tensors inside its session.

        `derived` is the model itself, where it was made from the one in the file. An artefact stands for it
        only where it computed the model when that was prepared on this machine.
        """
        ...

    def torch(self, network: str, path: Path, build: Callable[[], Any], signature: Signature) -> Engine:
        """An engine on a checkpoint's weights, in the torch module that `build` makes.

        `build` is a function of a module, or a `functools.partial` of one with plain arguments. ONNX Runtime
        computes it where `sonorant prepare` has made and proven an export on this machine; torch is then not
        imported. Otherwise torch does; raises MissingExtraError where that is not installed, and ModelError
        as `engine` does.
        """
        ...

    def network(self, name: str, signature: Signature, engine: Engine) -> Network:
        """A network with a lane on this replica's device, on the engine that was made for its name."""
        ...

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` (features, phonemes, signal processing) on a slot, off the event loop."""
        ...

    def part(self, role: str) -> Any:
        """The part that the card names for `role`: a `Detector`, an `Embedder` …

        Raises ModelError where the card names none.
        """
        ...
