"""What a family tells of its tokenizer, so that tokens that nobody needs can be taken out of its networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sonorant.networks.signature import Signature

LOGITS = "logits"
"""the output of a network whose last dimension is the vocabulary"""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a model."""

    encode: Callable[[str], Sequence[int]]
    """a sentence → its tokens"""
    always: frozenset[int]
    """that no text goes without: the special ones, and bytes and characters, by which any word is spelled"""


@runtime_checkable
class Worded(Protocol):
    """A pipeline whose networks say tokens."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Of those that have an output LOGITS."""
        ...


def size(signature: Signature) -> int:
    """How many tokens a network chooses from; 0 where it gives something else."""
    dims = next((tensor.dims for tensor in signature.outputs if tensor.name == LOGITS), ())
    return dims[-1] if dims and isinstance(dims[-1], int) else 0
