"""What every engine offers."""

from __future__ import annotations

from typing import Protocol

from sonorant.networks.signature import Array, Feeds, Tensor


class Running(Protocol):
    """One call of an engine that another thread may stop."""

    def __call__(self) -> dict[str, Array]:
        """Compute. Blocks; raises EngineError when the engine fails or was stopped."""
        ...

    def stop(self) -> None:
        """End the computation at the engine's next chance. Safe from any thread."""
        ...


class Engine(Protocol):
    """Weights, loaded and ready to compute."""

    @property
    def source(self) -> str:
        """The model file, for messages."""
        ...

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """As the model file declares them."""
        ...

    @property
    def outputs(self) -> tuple[Tensor, ...]: ...

    @property
    def provider(self) -> str:
        """What really computes: "CPUExecutionProvider" …"""
        ...

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Running:
        """A call that computes all outputs. `large`: give back afterwards the memory that it took."""
        ...

    def close(self) -> None: ...
