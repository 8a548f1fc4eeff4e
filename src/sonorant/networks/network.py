"""A network as a pipeline sees it: awaitable, checked, and run by whoever owns the compute."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from sonorant.networks.cost import CostModel
from sonorant.networks.engines.engine import Engine
from sonorant.networks.signature import Array, Feeds, Signature

T = TypeVar("T")


class Joined(Protocol):
    """Several pieces of work as one run."""

    @property
    def padding(self) -> float:
        """The share of its frames that belong to none of them."""
        ...

    def __call__(self) -> Sequence[Any]:
        """Compute: the result of each piece, or the exception that ended it. Blocks."""
        ...

    def stop(self) -> None:
        """End the computation at its next chance. Safe from any thread."""
        ...


class Kin(Protocol):
    """Work that can be computed together, as the rows of a batch.

    What is chosen is decided while a device is locked: both methods are quick, and raise nothing.
    """

    def companions(self, first: Any, others: Sequence[Any], slack: float) -> Sequence[int]:
        """Which of `others`, the earliest due first, are to run with `first`, due in `slack` seconds."""
        ...

    def join(self, works: Sequence[Any]) -> Joined: ...


class Lane(Protocol):
    """Where calls of one network wait for their turn. `replica` implements it."""

    cost: CostModel
    """of the network's runs"""

    async def run(
        self, engine: Engine, feeds: Feeds, sizes: Mapping[str, int], *, large: bool
    ) -> dict[str, Array]:
        """The engine's outputs. `sizes`: of the axes that `feeds` bind."""
        ...

    async def call(
        self,
        work: Callable[[], T],
        stop: Callable[[], None] | None = None,
        *,
        cost: float = 0.0,
        kin: Kin | None = None,
    ) -> T:
        """Run `work` on a slot, off the event loop; when the caller is cancelled, call `stop`.

        `cost`: the seconds that it should take. With `kin` it may be joined with what waits beside it.
        """
        ...


class Network:
    """A signature, an engine that holds the weights, and the lane in which its calls wait."""

    def __init__(self, name: str, signature: Signature, engine: Engine, lane: Lane) -> None:
        self.name, self.signature, self.engine, self.lane = name, signature, engine, lane
        signature.conforms(engine.inputs, engine.outputs, engine.source)

    async def run(self, **feeds: Array) -> dict[str, Array]:
        """Outputs by name. Stateless. Raises SignatureError before the engine sees a wrong feed."""
        sizes = self.signature.check(feeds)
        return await self.lane.run(self.engine, feeds, sizes, large=self.signature.is_large(sizes))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[State]:
        """The state of one stream through this network."""
        yield State(self)


class State:
    """What a stateful network remembers of one stream between steps."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._state = network.signature.zeros()

    async def step(self, **feeds: Array) -> dict[str, Array]:
        """Feed the next piece of the stream; the outputs that are not state."""
        carried = self._network.signature.state
        outputs = await self._network.run(**feeds, **self._state)
        self._state = {name: outputs.pop(output) for name, output in carried.items()}
        return outputs
