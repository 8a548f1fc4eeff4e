"""Running networks right here, without a device: while a model loads, and in benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from sonorant.networks.cost import CostModel
from sonorant.networks.engines.engine import Engine
from sonorant.networks.network import Kin, Network
from sonorant.networks.signature import Array, Feeds, Signature

T = TypeVar("T")


class Here:
    """A `Lane` without a queue, for the time before there are requests. Its calls block."""

    def __init__(self) -> None:
        self.cost = CostModel()

    async def run(
        self, engine: Engine, feeds: Feeds, sizes: Mapping[str, int], *, large: bool
    ) -> dict[str, Array]:
        return engine.prepare(feeds, large=large)()

    async def call(
        self,
        work: Callable[[], T],
        stop: Callable[[], None] | None = None,
        *,
        cost: float = 0.0,
        kin: Kin | None = None,
    ) -> T:
        return work()


def here(name: str, signature: Signature, engine: Engine) -> Network:
    """A network that runs where it is called."""
    return Network(name, signature, engine, Here())


def now(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits, because its networks run `here`."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("a run waited for something")
