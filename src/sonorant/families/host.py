"""What a family is given to build its pipeline on. `replica` implements it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from sonorant.networks import Network, Signature
from sonorant.networks.engines.onnxruntime import OnnxRuntime

P = ParamSpec("P")
T = TypeVar("T")


class Host(Protocol):
    """The replica's side of the seam: engines, lanes, and the model's small parts."""

    def engine(self, path: Path, *, exposed: tuple[str, ...] = (), **defaults: Any) -> OnnxRuntime:
        """An engine on a model file; `defaults` are options that the user's own override.

        `exposed` names tensors inside the graph that become outputs where the graph has them.
        """
        ...

    def network(self, name: str, signature: Signature, engine: OnnxRuntime) -> Network:
        """A network with a lane on this replica's device."""
        ...

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` (features, phonemes, signal processing) on a slot, off the event loop."""
        ...

    def part(self, role: str) -> Any:
        """The part that the card names for `role`: a `Detector`, a `Normalizer` …

        Raises ModelError where the card names none.
        """
        ...
