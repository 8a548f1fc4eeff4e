"""What every engine offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol

from sonorant.errors import SignatureError
from sonorant.networks.signature import Array, Feeds, Tensor


class Running(Protocol):
    """One call of an engine that another thread may stop."""

    def __call__(self) -> dict[str, Array]:
        """Compute. Blocks; raises EngineError when the engine fails or was stopped."""
        ...

    def stop(self) -> None:
        """End the computation at the engine's next chance. Safe from any thread."""
        ...


def check(feeds: Feeds, inputs: Sequence[Tensor], source: str) -> None:
    """Raises SignatureError for other names, dtypes or ranks than a file's inputs have.

    For engines that take some of these silently: OpenVINO reads int32 as int64, and float64 as float32.
    """
    names = sorted(tensor.name for tensor in inputs)
    if sorted(feeds) != names:
        raise SignatureError(
            f"{PurePath(source).name} is fed {sorted(feeds)}", remedy=f"Feed exactly {names}"
        )
    for tensor in inputs:
        value = feeds[tensor.name]
        if value.dtype != tensor.dtype or value.ndim != len(tensor.dims):
            raise SignatureError(
                f"{tensor.name} is {value.dtype} with {value.ndim} dimensions", remedy=f"Feed {tensor}"
            )


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
